"""`phonemes plan`: what a training will be and cost, before it starts."""

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from phonemes.commands.terminal import bad, heading, table
from phonemes.wording import counted

if TYPE_CHECKING:
    from phonemes.params import Params
    from phonemes.storage.layout import HostSplit

TO_PACK = "run `dvc repro normalize context`, then this again, for"


class Corpus(NamedTuple):
    """What training learns from."""

    train: "HostSplit"
    dev: "HostSplit"
    classes: int
    utterances: int
    speakers: int  # 0 where unknown
    phones: int  # runs of one label


def read_corpus(params: "Params") -> Corpus | str:
    """Return the packed corpus, or where there is none of these parameters, why.

    Windows are those of data.k as it is now, whether data/context is or not.

    Raises:
        InputError: a file of the corpus is damaged.
    """
    from dataclasses import asdict

    from phonemes.context import window_starts
    from phonemes.model.phone_counts import count_phones
    from phonemes.storage.layout import CORPUS, DESCRIPTION, NORMALIZED, HostSplit
    from phonemes.storage.read import (
        read_description,
        read_labels,
        read_lengths,
        read_phonemes,
        read_stored,
        read_utterances,
    )

    if not DESCRIPTION.exists():
        return "the corpus is not packed yet"
    source = params.corpus.source
    features = None if source == "arrays" else asdict(params.features)
    packed = read_description(DESCRIPTION)
    if (packed.get("source"), packed.get("features")) != (source, features):
        return "the corpus was packed with other values of corpus.source or features"
    classes = len(read_phonemes(CORPUS))
    lengths = {split: read_lengths(CORPUS, split) for split in ("train", "dev")}

    def read(split: str) -> HostSplit:
        path, count = NORMALIZED / f"{split}.npy", int(lengths[split].sum())
        frames, scales = read_stored(
            path if path.exists() else CORPUS / f"frames/{split}.npy", count
        )
        starts = window_starts(lengths[split], params.data.k, params.data.padding)
        labels = read_labels(CORPUS / f"labels/{split}.npy", count, classes)
        return HostSplit(frames, starts, labels, scales)

    train = read("train")
    assert train.labels is not None
    phones = int(count_phones(train.labels, lengths["train"], classes).single.sum())
    speakers = {speaker for _, speaker in read_utterances(CORPUS, "train")} - {""}
    utterances = len(lengths["train"])
    return Corpus(train, read("dev"), classes, utterances, len(speakers), phones)


def sizes_of(params: "Params") -> tuple[int, int] | None:
    """Return bands and phonemes of a corpus that is not packed, None where its files say them."""
    from phonemes.inventory import ARPABET_STRESS, INVENTORIES

    match params.corpus.source:
        case "synthetic":
            return params.features.bands, len(ARPABET_STRESS)
        case "audio":
            return params.features.bands, len(INVENTORIES[params.corpus.audio.phonemes])
    return None


def facts(params: "Params") -> dict[str, Any]:
    """Return all that is known of the training, by the names that --json has."""
    from phonemes.context import window_milliseconds

    corpus, k = read_corpus(params), params.data.k
    milliseconds = window_milliseconds(k, params.features.stride, params.features.frame_width)
    window: dict[str, Any] = {"k": k, "frames": 2 * k + 1, "ms": milliseconds}
    known: dict[str, Any] = {"window": window, "missing": None}
    if isinstance(corpus, str):
        known["missing"] = corpus
        sizes = sizes_of(params)
        return known | (_networks(params, *sizes) if sizes else {})
    frames, bands = corpus.train.frames.shape
    known["training_set"] = {
        "frames": frames,
        "bands": bands,
        "utterances": corpus.utterances,
        "speakers": corpus.speakers or None,
        "phonemes": corpus.classes,
        "phones": corpus.phones,
    }
    window["phones"] = round((2 * k + 1) * corpus.phones / frames, 2)
    return known | _networks(params, bands, corpus.classes) | _costs(params, corpus)


def _networks(params: "Params", bands: int, classes: int) -> dict[str, Any]:
    """Return what the networks are."""
    from phonemes.model.architecture import describe
    from phonemes.model.size import parameter_count
    from phonemes.training.planned import plan_networks

    planned = plan_networks(params.fit, params.stacking, bands, classes)
    return {
        "networks": [
            {
                "kind": kind,
                "number": len(networks),
                "parameters_each": parameter_count(networks[:1]),
                "layers": describe(networks[0]).splitlines(),
            }
            for kind, networks in planned._asdict().items()
            if networks
        ],
        "parameters": planned.parameters,
        "max_parameters": params.model.max_parameters,
    }


def _costs(params: "Params", corpus: Corpus) -> dict[str, Any]:
    """Return what the training takes on this machine, measured."""
    from phonemes.inference.device import choose_compute
    from phonemes.training.estimate import estimate
    from phonemes.training.prepare import prepare

    compute = choose_compute(params.runtime.device, params.model.precision)
    train, dev, classes, *_ = corpus
    costs = estimate(train, dev, classes, compute, params.fit, params.stacking, prepare)
    batch = min(params.train.batch_size, len(train.frames))
    return {
        "device": str(compute.device),
        "precision": str(compute.dtype).removeprefix("torch."),
        "batch_size": batch,
        "steps_per_epoch": -(-len(train.frames) // batch),
        "epochs": params.train.epochs,
        **costs._asdict(),
    }


def rows(known: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts, but for the layers, as rows of a table: a name and a text."""
    window, training = known["window"], known.get("training_set")
    covered = f"{counted(window['frames'], 'frame')}, {window['ms']:g} ms"
    found = []
    if training:
        covered += f", {window['phones']:.1f} phonemes on average"
        corpus = f"{counted(training['frames'], 'frame')} of {training['bands']} bands"
        speakers = training["speakers"]
        corpus += f" in {counted(training['utterances'], 'utterance')} of "
        corpus += counted(speakers, "speaker") if speakers else "unknown speakers"
        corpus += f", {training['phonemes']} phonemes"
        found = [("training set", corpus)]
    found += [("window", f"k = {window['k']}: {covered}")]
    if "parameters" in known:
        found += [("parameters", _parameters(known))]
    return found + (_cost_rows(known) if training else [])


def _parameters(known: dict[str, Any]) -> str:
    count, limit = known["parameters"], known["max_parameters"]
    each = " + ".join(f"{of['number']} x {of['parameters_each']:,}" for of in known["networks"])
    text = f"{count:,}" + f" = {each}" * (len(known["networks"]) > 1)
    if not limit:
        return f"{text}; model.max_parameters sets no limit"
    if count <= limit:
        return f"{text}, of {limit:,} that model.max_parameters allows"
    return bad(f"{text}: more than model.max_parameters, {limit:,}; the train stage will refuse")


def _cost_rows(known: dict[str, Any]) -> list[tuple[str, str]]:
    batch, largest = known["batch_size"], known["largest_batch"]
    fitting = f"train.batch_size {largest:,}" if largest else bad("none fits")
    whole = 2 * largest > known["training_set"]["frames"]
    how = "as large as the training set allows" if whole else "computed from this memory"
    too_large = "" if known["batch_fits"] else bad(f"; {batch:,} is too large")
    steps = f"{known['steps_per_epoch']:,} of {batch:,} frames an epoch, "
    steps += counted(known["epochs"], "epoch")
    memory = f"a step {_size(known['step_bytes'])}, all frames {_size(known['frames_bytes'])}"
    epoch, run = (_duration(known[f"{part}_seconds"]) for part in ("epoch", "run"))
    one = " on one GPU" * known["device"].startswith("cuda")
    return [
        ("device", f"{known['device']}, {known['precision']}"),
        ("steps", steps),
        ("memory", f"{memory}; {_size(known['free_bytes'])} are free"),
        ("largest batch", f"{fitting}, {how}{too_large}"),
        ("time", f"an epoch {epoch}, all training {run}{one}; measured, a few steps and dev once"),
    ]


def layers(network: dict[str, Any]) -> list[str]:
    """Return the lines of a network, the first of which says how many of them there are."""
    number = network["number"]
    name = f"{number} {network['kind']} networks" if number > 1 else f"{network['kind']} network"
    each = " each" * (number > 1)
    title = f"{name}, {network['parameters_each']:,} parameters{each}"
    return [heading(title), *network["layers"]]


def _size(count: int) -> str:
    """Return a number of bytes for a person."""
    size, unit = (count / 2**30, "GiB") if count >= 2**30 else (count / 2**20, "MiB")
    return f"{size:,.{0 if size >= 10 else 1}f} {unit}"


def _duration(seconds: float) -> str:
    """Return a time for a person."""
    if seconds < 100:
        return f"{seconds:.{0 if seconds >= 10 else 1}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


@click.command(epilog="Example: phonemes plan --json")
@click.option("--json", "as_json", is_flag=True, help="Print all facts as JSON.")
def plan(as_json: bool) -> None:
    """Say what the training of params.yaml will be and cost.

    Counts parameters, measures a few steps on this machine, and finds the largest batch that
    fits. Needs the corpus that `dvc repro normalize context` packs; without it, says what
    params.yaml alone can tell. Writes nothing.
    """
    from phonemes.params import load

    known = facts(load())
    if as_json:
        click.echo(json.dumps(known, indent=2))
        return
    click.echo(table(("", ""), [(heading(name), text) for name, text in rows(known)]))
    for network in known.get("networks", []):
        click.echo("\n" + table(("",), [(line,) for line in layers(network)]))
    if known["missing"]:
        unknown = "time, memory and the largest batch"
        if "networks" not in known:
            unknown = f"the network, its parameters, {unknown}"
        click.echo(f"\n{known['missing']}: {TO_PACK} {unknown}")
    elif known["batch_fits"]:
        click.echo("\nnext: dvc repro")
