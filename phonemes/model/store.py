"""The model file: networks, what they were made for and how they were trained.

It is enough to label a recording on another machine. `tensor_file` says how it is written;
nothing in it is run when it is read, and nothing in it is taken before it fits the rest.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.errors import MADE_ANEW, InputError, raise_true_cause
from phonemes.model.architecture import Architecture, Classifier, build
from phonemes.model.phone_counts import DURATION_STATES, PhoneCounts
from phonemes.model.purpose import Purpose
from phonemes.model.tensor_file import DamagedError, Stored, read_tensors, write_tensors
from phonemes.schema import Choice, Number, Text
from phonemes.schema import build as checked
from phonemes.storage.layout import MODEL, MOST_PHONEMES, Spelling

BASE, STACKED, PHONES = "base", "stacked", "phones"
LATER = ("fours", "fives")  # counts of phones that older files lack
MOST_COUNTED = 2**50  # frames, of which float64 still holds each number


class TrainedNetwork(NamedTuple):
    """A network as it is stored."""

    architecture: Architecture
    state: dict[str, Tensor]  # weights and running statistics, by name

    def classifier(self, device: torch.device) -> Classifier:
        """Return the network on a device, in evaluation mode."""
        with device:
            classifier = build(self.architecture)
        classifier.network.load_state_dict(self.state)
        classifier.network.eval()
        return classifier


class Model(NamedTuple):
    """What labels frames; usually one network alone."""

    base: list[Classifier]  # over windows of frames; their posteriors are averaged
    stacked: list[Classifier]  # over windows of those posteriors, with `stacking`


@dataclass(frozen=True)
class TrainingFacts:
    """How the first network of a model was trained."""

    epoch: Annotated[int, Number(1, 10_000)]  # that was kept
    dev_accuracy: Annotated[float, Number(0, 1)]
    precision: Annotated[str, Choice(("float32", "bfloat16"))]  # of its products
    version: Annotated[str, Text()]  # of this project, "unknown" where it is not installed


class Bundle(NamedTuple):
    """All that a model file holds."""

    model: Model
    purpose: Purpose
    phones: PhoneCounts  # of the training set
    facts: TrainingFacts


class _MisfitError(ValueError):
    """Parts of a model file do not fit each other; the message says which."""


def project_version() -> str:
    """Return the version of this project, or "unknown" where it is not installed."""
    try:
        return version("phonemes")
    except PackageNotFoundError:
        return "unknown"


def posterior_bands(classes: int) -> int:
    """Return C of frames of posteriors, P = `classes` or a little more, of zeros.

    Products are slow on rows whose bytes are no multiple of 16.
    """
    return classes + -classes % 8


def save_model(
    path: Path,
    base: Sequence[TrainedNetwork],
    stacked: Sequence[TrainedNetwork],
    purpose: Purpose,
    phones: PhoneCounts,
    facts: TrainingFacts,
    *,
    half: bool = False,
) -> None:
    """Write networks to one file, with what they were made for and how they were trained.

    Args:
        path: of the file.
        base: networks over windows of frames.
        stacked: networks over windows of their posteriors.
        purpose: what they were made for.
        phones: of the training set.
        facts: about the training.
        half: whether the matrices are stored in float16, half as large.

    Raises:
        OSError: it cannot be written.
    """
    tensors = {"statistics": purpose.statistics}
    tensors |= {f"{PHONES}.{name}": torch.tensor(of) for name, of in phones._asdict().items()}
    for kind, networks in ((BASE, base), (STACKED, stacked)):
        for number, network in enumerate(networks):
            for key, value in network.state.items():
                shorter = half and value.ndim == 2
                tensors[f"{kind}.{number}.{key}"] = value.half() if shorter else value
    described = purpose._asdict() | {"spelling": purpose.spelling._asdict()}
    del described["statistics"]
    description = {
        "purpose": described,
        "facts": asdict(facts),
        BASE: [asdict(each.architecture) for each in base],
        STACKED: [asdict(each.architecture) for each in stacked],
    }
    write_tensors(path, tensors, description)


def load_model(path: Path, device: torch.device) -> Bundle:
    """Return what a file holds, its networks ready to classify on `device`.

    Raises:
        InputError: it is missing, damaged or no model of this project, its parts do not fit each
            other, or the machine lacks what reading it takes.
    """
    try:
        stored = read_tensors(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run `dvc repro` to make it") from None
    except DamagedError as error:
        fix = MADE_ANEW if path == MODEL else "copy it again"
        raise InputError(f"{path} is damaged: {error}; {fix}") from None
    except OSError as error:
        raise_true_cause(error, path)
        raise InputError(f"cannot read {path} ({error})") from None
    try:
        purpose, facts = _purpose(stored), _facts(stored)
        base, stacked = (_networks(stored, kind) for kind in (BASE, STACKED))
        _require_sizes([each.architecture for each in base], purpose, purpose.bands, BASE)
        _require_sizes(
            [each.architecture for each in stacked],
            purpose._replace(k=stacked[0].architecture.frames // 2 if stacked else 0),
            posterior_bands(len(purpose.phonemes)),
            STACKED,
        )
        _require_states(base, BASE)
        _require_states(stacked, STACKED)
        if not base:
            raise _MisfitError("it holds no network")
        phones = _phones(stored, len(purpose.phonemes))
    except _MisfitError as error:
        raise InputError(
            f"{path} is not a model of this pipeline: {error}; delete it and run `dvc repro`"
        ) from None
    networks = (each.state.values() for each in base + stacked)
    if not all(value.isfinite().all() for state in networks for value in state):
        raise InputError(f"{path} holds NaN or infinity; delete it and run `dvc repro`")
    model = Model(*([each.classifier(device) for each in kind] for kind in (base, stacked)))
    return Bundle(model, purpose, phones, facts)


def _part(values: Any, name: str, kind: Any) -> Any:
    """Return a part of a description, of a type or one of several."""
    value = values.get(name) if isinstance(values, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _MisfitError(f"its {name} is missing or of another kind")
    return value


def _names(values: Any, name: str) -> tuple[str, ...]:
    """Return a part that is a list of texts, one a phoneme."""
    names = _part(values, name, list)
    if not 0 < len(names) <= MOST_PHONEMES or not all(isinstance(each, str) for each in names):
        raise _MisfitError(f"its {name} are no list of phonemes")
    return tuple(names)


def _purpose(stored: Stored) -> Purpose:
    """Return what a file says that the model was made for."""
    values = _part(stored.description, "purpose", dict)
    spelling = _part(values, "spelling", dict)
    names, bands = _names(values, "phonemes"), _part(values, "bands", int)
    spelled = _names(spelling, "phonemes")
    if len(spelled) != len(names):
        raise _MisfitError(f"it spells {len(spelled)} of {len(names)} phonemes")
    statistics = stored.tensors.get("statistics")
    if statistics is None or statistics.shape != (2, bands):
        raise _MisfitError(f"its statistics are not of {bands} bands")
    features = _part(values, "features", (dict, type(None)))
    if features is not None and features.get("bands") != bands:
        raise _MisfitError(f"its features are not of {bands} bands")
    return Purpose(
        names,
        Spelling(_part(spelling, "text", bool), spelled),
        bands,
        _part(values, "k", int),
        _part(values, "padding", str),
        _part(values, "normalization", dict),
        statistics.to(torch.float64),
        _part(values, "source", str),
        features,
    )


def _phones(stored: Stored, classes: int) -> PhoneCounts:
    """Return the counts of P = `classes` phonemes that a file holds."""
    shapes = {
        "single": (classes,),
        "pairs": (None, 3),
        "triples": (None, 4),
        "fours": (None, 5),
        "fives": (None, 6),
        "lived": (DURATION_STATES, classes),
        "ended": (DURATION_STATES, classes),
        "frames": (classes,),
    }
    counts = {name: _counts(stored, name, shape, classes) for name, shape in shapes.items()}
    return PhoneCounts(**counts)


def _counts(
    stored: Stored, name: str, shape: tuple[int | None, ...], classes: int
) -> NDArray[np.int64]:
    """Return counts of a shape, None for any size: in rows after phonemes, or alone."""
    found = stored.tensors.get(f"{PHONES}.{name}")
    if found is None and name in LATER:
        return np.zeros((0, shape[1] or 0), np.int64)
    if found is None or found.ndim != len(shape) or found.dtype != torch.int64:
        raise _MisfitError(f"its counts of phones, {name}, are missing or of another kind")
    values = found.numpy()
    phonemes = values[:, :-1] if None in shape else values[:0]
    if (
        any(size not in (None, given) for size, given in zip(shape, values.shape, strict=True))
        or not ((values >= 0) & (values <= MOST_COUNTED)).all()
        or (None in shape and (values[:, -1:] == 0).any())
        or (phonemes >= classes).any()
    ):
        raise _MisfitError(f"its counts of phones, {name}, are not those of {classes} phonemes")
    return values


def _facts(stored: Stored) -> TrainingFacts:
    facts, problems = checked(TrainingFacts, _part(stored.description, "facts", dict), "facts")
    if facts is None:
        raise _MisfitError(problems[0])
    return facts


def _networks(stored: Stored, kind: str) -> list[TrainedNetwork]:
    """Return the base or the stacked networks of a file, not yet checked against each other."""
    networks = []
    for number, values in enumerate(_part(stored.description, kind, list)):
        architecture, problems = checked(Architecture, values, f"{kind}.{number}")
        if architecture is None:
            raise _MisfitError(problems[0])
        prefix = f"{kind}.{number}."
        state = {
            name.removeprefix(prefix): value.float() if value.dtype == torch.float16 else value
            for name, value in stored.tensors.items()
            if name.startswith(prefix)
        }
        networks.append(TrainedNetwork(architecture, state))
    return networks


def _require_sizes(
    architectures: list[Architecture], purpose: Purpose, bands: int, kind: str
) -> None:
    """Refuse networks that take other windows, or have other phonemes, than the rest.

    Args:
        architectures: of the base networks or of the stacked ones.
        purpose: what the model was made for, its k that of these networks' windows.
        bands: C of the frames that these networks take.
        kind: which ones, for the message.
    """
    expected = (2 * purpose.k + 1, bands, len(purpose.phonemes))
    for number, each in enumerate(architectures):
        sizes = (each.frames, each.bands, each.classes)
        if sizes != expected:
            raise _MisfitError(
                "frames, bands and phonemes of network {}.{} are {}, {} and {}; "
                "expected {}, {} and {}".format(kind, number, *sizes, *expected)
            )


def _require_states(networks: list[TrainedNetwork], kind: str) -> None:
    """Refuse weights that are not those of the architecture, before room is made for them."""
    for number, (architecture, state) in enumerate(networks):
        name = f"{kind}.{number}"
        if not architecture.fits:
            raise _MisfitError(f"the layers of network {name} do not fit each other")
        with torch.device("meta"):  # shapes alone: an architecture may say any size
            network = build(architecture).network
        expected = {key: (each.shape, each.dtype) for key, each in network.state_dict().items()}
        found = {key: (each.shape, each.dtype) for key, each in state.items()}
        for key in sorted({*expected, *found}):
            if expected.get(key) != found.get(key):
                raise _MisfitError(
                    f"the weights {name}.{key} are missing, unknown or of another size"
                )
