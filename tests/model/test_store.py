"""A stored model comes back as it was, and nothing else is taken for one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from phonemes.errors import InputError
from phonemes.inference.stacked import posterior_frames
from phonemes.model.architecture import NORMS, Architecture, build
from phonemes.model.phone_counts import count_phones
from phonemes.model.purpose import Purpose
from phonemes.model.store import (
    TrainedNetwork,
    TrainingFacts,
    load_model,
    posterior_bands,
    project_version,
    save_model,
)
from phonemes.model.tensor_file import read_tensors, write_tensors
from phonemes.storage.layout import MODEL, Spelling

CPU = torch.device("cpu")
SMALL = Architecture(
    frames=3,
    bands=4,
    classes=5,
    hidden=(8, 6),
    activation="gelu",
    norm="batch",
    norm_position="before",
    dropout=0.2,
)
STACKED = replace(SMALL, frames=7, bands=8)  # of the posteriors of 5 phonemes
NAMES = ("SIL", "AA", "B", "D", "ə")
PURPOSE = Purpose(
    phonemes=NAMES,
    spelling=Spelling(True, ("[SIL]", *NAMES[1:])),
    bands=4,
    k=1,
    padding="zero",
    normalization={"over": "corpus", "variance": True, "relevance": 0.0},
    statistics=torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 1e-5]], dtype=torch.float64),
    source="audio",
    features={"bands": 4, "stride": 10.0},
)
FACTS = TrainingFacts(3, 0.7512345678901234, "bfloat16", "0.1.0")


def trained(architecture):
    """Return a network with random weights and statistics."""
    state = build(architecture).network.state_dict()
    for value in state.values():
        if value.is_floating_point():
            value.uniform_(0.1, 1)
    return TrainedNetwork(architecture, state)


PHONES = count_phones(np.array([0, 0, 4, 4, 4, 0, 1, 0, 2]), np.array([6, 3]), 5)


def save(path, base=None, stacked=(), purpose=PURPOSE, facts=FACTS, **how):
    networks = [trained(SMALL)] if base is None else base
    save_model(path, networks, stacked, purpose, PHONES, facts, **how)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def refusal(path):
    """Return why a model is refused, which is one line."""
    with pytest.raises(InputError) as refused:
        load_model(path, CPU)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith(f"{path} ")
    return message


# Coming back


@pytest.mark.parametrize(
    "choices",
    [
        *({"norm": norm} for norm in NORMS),
        {"hidden": (8,) * 3, "residual": True, "pooling": (1,), "target_context": 1},
    ],
)
def test_a_stored_network_gives_the_same_logits(path, choices):
    network = trained(replace(SMALL, **choices))
    save(path, [network])
    (loaded,), stacked = load_model(path, CPU).model
    windows = torch.randn(7, 12)
    assert loaded.architecture == network.architecture
    assert torch.equal(loaded.network(windows), network.classifier(CPU).network(windows))
    assert stacked == []


def test_what_a_model_was_made_for_and_how_it_was_trained_come_back(path):
    save(path)
    _, purpose, _, facts = load_model(path, CPU)
    assert facts == FACTS
    assert torch.equal(purpose.statistics, PURPOSE.statistics)
    assert purpose._replace(statistics=PURPOSE.statistics) == PURPOSE


def test_the_counts_of_phones_come_back(path):
    save(path)
    for found, stored in zip(load_model(path, CPU).phones, PHONES, strict=True):
        np.testing.assert_array_equal(found, stored)
        assert found.dtype == np.int64


def test_a_model_in_half_precision_is_half_as_large_and_comes_back_rounded(path):
    wide = trained(replace(SMALL, hidden=(512, 512)))
    save(path, [wide])
    size = path.stat().st_size
    save(path, [wide], half=True)
    assert path.stat().st_size < 0.55 * size
    (loaded,) = load_model(path, CPU).model.base
    for name, found in loaded.network.state_dict().items():
        stored = wide.state[name]
        assert found.dtype == stored.dtype
        rounded = stored.half().float() if stored.ndim == 2 else stored
        assert torch.equal(found, rounded)


def test_a_model_of_frames_that_were_given_has_no_features(path):
    save(path, purpose=PURPOSE._replace(features=None))
    assert load_model(path, CPU).purpose.features is None


def test_base_and_stacked_networks_come_back_in_their_order(path):
    base = [trained(replace(SMALL, hidden=(7, width))) for width in range(1, 13)]
    stacked = [trained(replace(STACKED, hidden=(6, width))) for width in range(1, 3)]
    save(path, base, stacked)
    model = load_model(path, CPU).model
    for stored, loaded in ((base, model.base), (stacked, model.stacked)):
        assert [each.architecture for each in loaded] == [each.architecture for each in stored]


def test_a_loaded_network_is_ready_to_classify(path):
    save(path, [trained(replace(SMALL, dropout=0.9))])
    (loaded,) = load_model(path, CPU).model.base
    assert not any(layer.training for layer in loaded.network.modules())


def test_the_same_network_is_the_same_bytes_whatever_the_file_is_called(tmp_path):
    network, stacked = trained(SMALL), trained(STACKED)
    for name in ("a.safetensors", "another name.partial"):
        save(tmp_path / name, [network], [stacked])
    first, second = (path.read_bytes() for path in tmp_path.iterdir())
    assert first == second


@pytest.mark.parametrize("classes", [1, 5, 8, 71])
def test_the_bands_that_stacked_networks_take_are_those_of_frames_of_posteriors(classes):
    frames = posterior_frames(torch.zeros(3, classes))
    assert frames.shape == (3, posterior_bands(classes))


def test_the_version_of_the_project_is_known_where_it_is_installed():
    assert project_version() == "unknown" or project_version()[0].isdigit()


# Files that are refused


def test_a_missing_model_says_how_to_make_it(path):
    assert refusal(path) == f"{path} is missing; run `dvc repro` to make it"


def test_a_file_of_another_program_is_refused(path):
    torch.save({"weight": torch.ones(2)}, path)
    assert refusal(path) == (f"{path} is damaged: it is no file of safetensors; copy it again")


def test_a_damaged_model_of_the_project_is_made_anew_though_dvc_has_it_in_its_cache(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    MODEL.parent.mkdir()
    MODEL.write_bytes(b"cut")
    assert refusal(MODEL).endswith("; run `phonemes repair --cache`, then `dvc repro`")


def test_half_a_model_is_damaged(path):
    save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert " is damaged: " in refusal(path)


@pytest.mark.parametrize("missing", ["purpose", "facts", "base", "stacked"])
def test_a_model_without_a_part_is_refused(path, missing):
    save(path)
    tensors, description = read_tensors(path)
    del description[missing]
    write_tensors(path, tensors, description)
    assert refusal(path) == (
        f"{path} is not a model of this pipeline: its {missing} is missing or of another kind; "
        "delete it and run `dvc repro`"
    )


EDITS = {
    "facts without the epoch": (lambda t, d: d["facts"].pop("epoch"), "facts.epoch is missing"),
    "epochs of a list": (lambda t, d: d["facts"].update(epoch=[1]), "facts.epoch is [1]"),
    "accuracy above 1": (lambda t, d: d["facts"].update(dev_accuracy=1.5), "dev_accuracy is 1.5"),
    "one phoneme less": (lambda t, d: d["purpose"]["phonemes"].pop(), "it spells 5 of 4"),
    "no phonemes": (lambda t, d: d["purpose"].update(phonemes=[]), "phonemes are no list"),
    "numbers for phonemes": (lambda t, d: d["purpose"].update(phonemes=[1] * 5), "no list"),
    "a phoneme less in all lists": (
        lambda t, d: (d["purpose"]["phonemes"].pop(), d["purpose"]["spelling"]["phonemes"].pop()),
        "of network base.0 are 3, 4 and 5; expected 3, 4 and 4",
    ),
    "another k": (
        lambda t, d: d["purpose"].update(k=2),
        "frames, bands and phonemes of network base.0 are 3, 4 and 5; expected 5, 4 and 5",
    ),
    "k of a truth value": (lambda t, d: d["purpose"].update(k=True), "its k is missing or of"),
    "features of other bands": (
        lambda t, d: d["purpose"]["features"].update(bands=40),
        "its features are not of 4 bands",
    ),
    "statistics of other bands": (
        lambda t, d: t.update(statistics=torch.zeros(2, 3)),
        "its statistics are not of 4 bands",
    ),
    "no statistics": (lambda t, d: t.pop("statistics"), "its statistics are not of 4 bands"),
    "weights that are missing": (
        lambda t, d: t.pop("base.0.0.weight"),
        "the weights base.0.0.weight are missing, unknown or of another size",
    ),
    "weights that are unknown": (
        lambda t, d: t.update({"base.0.9.weight": torch.zeros(2)}),
        "the weights base.0.9.weight are missing, unknown or of another size",
    ),
    "weights of another type": (
        lambda t, d: t.update({"base.0.0.weight": torch.zeros(8, 12, dtype=torch.float64)}),
        "the weights base.0.0.weight are missing, unknown or of another size",
    ),
    "an unknown activation": (
        lambda t, d: d["base"][0].update(activation="swish"),
        "base.0.activation is 'swish'; expected one of relu",
    ),
    "other widths": (lambda t, d: d["base"][0].update(hidden=[5, 4]), "base.0.0.weight are"),
    "an architecture of a text": (lambda t, d: d.update(base=["mlp"]), "base.0 is 'mlp'"),
    "an unknown part of an architecture": (
        lambda t, d: d["base"][0].update(skip=1),
        "base.0.skip is not a parameter",
    ),
    "more frames pooled than a window has": (
        lambda t, d: d["base"][0].update(pooling=[2, 2, 2]),
        "the layers of network base.0 do not fit each other",
    ),
    "no counts of phones": (
        lambda t, d: t.pop("phones.pairs"),
        "its counts of phones, pairs, are missing or of another kind",
    ),
    "counts of other phonemes": (
        lambda t, d: t.update({"phones.frames": torch.ones(4, dtype=torch.int64)}),
        "its counts of phones, frames, are not those of 5 phonemes",
    ),
    "counts after a phoneme that is none": (
        lambda t, d: t.update({"phones.triples": torch.tensor([[0, 1, 5, 1]])}),
        "its counts of phones, triples, are not those of 5 phonemes",
    ),
    "sequences that never occurred": (
        lambda t, d: t.update({"phones.fours": torch.tensor([[0, 1, 2, 1, 0]])}),
        "its counts of phones, fours, are not those of 5 phonemes",
    ),
    "counts below 0": (
        lambda t, d: t["phones.lived"].neg_(),
        "its counts of phones, lived, are not those of 5 phonemes",
    ),
    "counts as floats": (
        lambda t, d: t.update({"phones.single": torch.ones(5)}),
        "its counts of phones, single, are missing or of another kind",
    ),
    "counts of longer sequences after a phoneme that is none": (
        lambda t, d: t.update({"phones.fives": torch.tensor([[0, 1, 2, 1, 5, 1]])}),
        "its counts of phones, fives, are not those of 5 phonemes",
    ),
    "no network": (lambda t, d: d.update(base=[]), "it holds no network"),
}


def test_a_file_without_counts_of_long_sequences_is_read_as_if_there_were_none(path):
    save(path)
    tensors, description = read_tensors(path)
    del tensors["phones.fours"], tensors["phones.fives"]
    write_tensors(path, tensors, description)
    found = load_model(path, CPU).phones
    assert (found.fours.shape, found.fives.shape) == ((0, 5), (0, 6))
    assert found.triples.tolist() == PHONES.triples.tolist()


@pytest.mark.parametrize("edit", EDITS)
def test_parts_that_do_not_fit_each_other_are_refused(path, edit):
    save(path)
    tensors, description = read_tensors(path)
    change, reason = EDITS[edit]
    change(tensors, description)
    write_tensors(path, tensors, description)
    message = refusal(path)
    assert message.startswith(f"{path} is not a model of this pipeline: ")
    assert reason in message


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 3, "bands": 4},  # a base network
        {"bands": 5},
        {"classes": 6},
        {"frames": 6},  # no frame is in the middle
    ],
)
def test_stacked_networks_of_other_inputs_are_refused(path, change):
    save(path, [trained(SMALL)], [trained(STACKED), trained(replace(STACKED, **change))])
    assert "of network stacked.1 are" in refusal(path)
    save(path, [trained(SMALL)], [trained(replace(STACKED, **change))])
    assert "of network stacked.0 are" in refusal(path)


def test_layers_that_do_not_fit_each_other_are_refused(path):
    save(path, [trained(replace(SMALL, hidden=(8, 6, 7), residual=True))])
    assert "the layers of network base.0 do not fit each other" in refusal(path)


def test_no_room_is_made_for_weights_that_the_file_does_not_hold(path):
    save(path)
    tensors, description = read_tensors(path)
    description["base"][0].update(hidden=[65_536] * 12)  # 190 GB
    write_tensors(path, tensors, description)
    assert "the weights base.0.0.weight are missing, unknown or of another size" in refusal(path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(path, value):
    network = trained(STACKED)
    network.state["0.weight"][0, 0] = value
    save(path, [trained(SMALL)], [network])
    assert refusal(path) == f"{path} holds NaN or infinity; delete it and run `dvc repro`"
