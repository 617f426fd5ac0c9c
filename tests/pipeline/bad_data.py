"""Good projects of every kind, and each way to break them: what `test_bad_data` runs.

A kind is a function that makes one thing in a good project bad, and the message that
must come of it. Functions run in the project's folder.
"""

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from helpers import ROOT, ragged, run_stages, set_params
from safetensors.torch import save_file

from phonemes.errors import MADE_ANEW
from phonemes.inventory import ARPABET_STRESS
from phonemes.model.tensor_file import read_tensors, write_tensors
from phonemes.storage.layout import CONTEXT, CORPUS, DESCRIPTION, MODEL, NORMALIZATION, NORMALIZED

RAW = Path("data/raw/mine")
LENGTHS = {"train": (7, 5, 6), "dev": (6, 5), "test": (5, 6)}
BANDS = 40
SMALL = {
    "corpus": {"path": str(RAW), "synthetic": {"minutes": 5}},
    "data": {"k": 2},
    "model": {"hidden": [4, 4], "norm": "batch"},
    "train": {"epochs": 1, "batch_size": 8},
}
RATE = 16000
SOUND_SECONDS = 0.3
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
0.3
<exists>
1
"IntervalTier"
"phones"
0
0.3
3
0
0.1
"sil"
0.1
0.2
"AA1"
0.2
0.3
"S"
"""
PHN = "0 1600 h#\n1600 3200 aa\n3200 4800 s\n"
LAB = "signal x\n#\n0.1 125 pau\n0.2 125 aa\n0.3 125 s\n"


class Kind(NamedTuple):
    """One way to break a project."""

    name: str
    project: str  # a key of PROJECTS
    stage: str
    spoil: Callable[[], object]
    message: str  # what follows "error: "; ... stands for anything


# Good projects


def begin() -> None:
    """Make the current folder a small project without data, next to the code that it runs."""
    set_params(SMALL)
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    for name in ("phonemes", "stages"):
        Path(name).symlink_to(ROOT / name)


def get_ready_to_train() -> None:
    """Make the current folder a small project in which the stages before `train` have run."""
    begin()
    write_flat()
    run_stages("corpus", "normalize", "context")


def frames_and_labels(
    lengths: dict[str, tuple[int, ...]],
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Return noise for each split, labelled with all of the 71 phonemes but the second."""
    random = np.random.default_rng(0)
    made = {
        split: [
            (
                random.normal(size=(length, BANDS)).astype(np.float32),
                random.integers(2, 71, length),
            )
            for length in lengths[split]
        ]
        for split in lengths
    }
    made["train"][0][1][0] = 70  # the highest label decides how many classes there are
    return made


def write_flat(lengths: dict[str, tuple[int, ...]] = LENGTHS) -> None:
    """Write the course's files as its older editions do."""
    RAW.mkdir(parents=True, exist_ok=True)
    for split, utterances in frames_and_labels(lengths).items():
        np.save(RAW / f"{split}.npy", ragged([frames for frames, _ in utterances]))
        if split != "test":
            np.save(RAW / f"{split}_labels.npy", ragged([labels for _, labels in utterances]))


def write_tree() -> None:
    """Write the course's files as its newer editions do."""
    subsets = {"train": "train-clean-100", "dev": "dev-clean", "test": "test-clean"}
    for split, utterances in frames_and_labels(LENGTHS).items():
        subset = RAW / subsets[split]
        (subset / "mfcc").mkdir(parents=True)
        for number, (frames, labels) in enumerate(utterances):
            name = f"{split}{number}-1-0000.npy"
            np.save(subset / "mfcc" / name, frames)
            if split != "test":
                (subset / "transcript").mkdir(exist_ok=True)
                names = [ARPABET_STRESS[label] for label in labels]
                np.save(subset / "transcript" / name, np.array(["<sos>", *names, "<eos>"]))


def write_libriphone() -> None:
    """Write the files of NTU's course; test's speakers are train's."""
    set_params({"corpus": {"arrays": {"dev_share": 0.5}}})
    made = frames_and_labels(LENGTHS)
    lines = []
    for split, parts in {"train": ("train", "dev"), "test": ("test",)}.items():
        (RAW / "feat" / split).mkdir(parents=True)
        utterances = [each for part in parts for each in made[part]]
        names = [f"{number % 3}-{split}-{number}" for number in range(len(utterances))]
        (RAW / f"{split}_split.txt").write_text("\n".join(names))
        for name, (frames, labels) in zip(names, utterances, strict=True):
            torch.save(torch.tensor(frames), RAW / f"feat/{split}/{name}.pt")
            if split == "train":
                lines.append(" ".join([name, *map(str, labels % 41)]))
    (RAW / "train_labels.txt").write_text("\n".join(lines))


def sound(hertz: int = 500, rate: int = RATE, seconds: float = SOUND_SECONDS) -> np.ndarray:
    """Return a tone, (S,), that grows, so that frames differ."""
    time = np.arange(round(rate * seconds)) / rate
    return 0.5 * time * np.sin(2 * np.pi * hertz * time)


def write_audio(layout: str, recording: str, alignment: str, text: str) -> None:
    """Write two recordings a split, each of its own speaker."""
    for number in range(6):
        split = ("train", "dev", "test")[number // 2]
        path = RAW / recording.format(split=split, speaker=f"s{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound(300 + 100 * number), RATE)
        path = RAW / alignment.format(split=split, speaker=f"s{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    set_params({"corpus": {"source": "audio", "audio": {"layout": layout}}})


def write_listed() -> None:
    """Write recordings whose splits stand in a list."""
    write_audio("textgrid", "{speaker}/a.wav", "{speaker}/a.TextGrid", TEXTGRID)
    rows = [f"s{number},{('train', 'dev', 'test')[number // 2]}" for number in range(6)]
    (RAW / "speakers.csv").write_text("\n".join(["speaker,split", *rows, ""]))
    set_params({"corpus": {"audio": {"split": "list", "speakers": "speakers.csv"}}})


def write_timit() -> None:
    write_audio("timit", "{split}/DR1/{speaker}/a.WAV", "{split}/DR1/{speaker}/a.PHN", PHN)
    set_params({"corpus": {"audio": {"phonemes": "timit"}}})


def write_arctic() -> None:
    write_audio("arctic", "{split}/{speaker}/wav/a.wav", "{split}/{speaker}/lab/a.lab", LAB)
    set_params({"corpus": {"audio": {"phonemes": "arpabet-plain"}}})


def write_textgrids() -> None:
    write_audio("textgrid", "{split}/{speaker}/a.wav", "{split}/{speaker}/a.TextGrid", TEXTGRID)


PROJECTS = {
    "flat": write_flat,
    "tree": write_tree,
    "libriphone": write_libriphone,
    "audio": write_textgrids,
    "listed": write_listed,
    "timit": write_timit,
    "arctic": write_arctic,
}

# Ways to break them


def utterance(file: str, number: int, edit: Callable) -> None:
    """Replace one utterance of a file of the flat edition."""
    items = list(np.load(RAW / file, allow_pickle=True))
    items[number] = edit(items[number])
    np.save(RAW / file, ragged(items))


def put(position: object, value: object, dtype: object = None) -> Callable:
    """Return a function that gives an array one other value."""

    def edit(array: np.ndarray) -> np.ndarray:
        array = array.astype(dtype or array.dtype)
        array[position] = value
        return array

    return edit


def array(path: Path, edit: Callable) -> None:
    """Replace an array by what `edit` makes of it."""
    np.save(path, edit(np.array(np.load(path))))


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


class Exploit:
    """A pickle that would leave a file."""

    def __reduce__(self):
        return os.system, ("touch exploited",)


def hostile(path: Path) -> None:
    path.write_bytes(pickle.dumps(Exploit(), protocol=2))


def inflating(path: Path) -> None:
    """Write a file as torch does, of 10 MB in 10 kB, all of it to be read before it is refused."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"(" * 10_000_000)


def labels_csv(*rows: str) -> None:
    (RAW / "phoneme_labels_for_test_data.csv").write_text("\n".join([*rows, ""]))


def phonemes_txt(lines: list[str]) -> None:
    (RAW / "phonemes.txt").write_text("\n".join(lines), "utf-8")


def test_order(names: list[str]) -> None:
    (RAW / "test_order.csv").write_text("\n".join(["id", *names]), "utf-8")


TRAIN0 = RAW / "train/s0/a.wav"
GRID0 = RAW / "train/s0/a.TextGrid"
PHN0 = RAW / "train/DR1/s0/a.PHN"
LAB0 = RAW / "train/s0/lab/a.lab"
LIST = RAW / "speakers.csv"
PT0 = RAW / "feat/train/0-train-0.pt"
MFCC = RAW / "train-clean-100/mfcc"
TRANSCRIPT = RAW / "train-clean-100/transcript"
FIRST = "train0-1-0000.npy"
NAMES = list(ARPABET_STRESS)

flat_kinds = {
    "frames and labels of different length": (
        lambda: utterance("train_labels.npy", 1, lambda labels: labels[:-1]),
        "data/raw/mine/train.npy, train utterance train-00001: 5 frames but 4 "
        "labels; every frame needs one label",
    ),
    "NaN": (
        lambda: utterance("train.npy", 1, put((3, 2), np.nan)),
        "data/raw/mine/train.npy, train utterance train-00001: frame 3, coefficient"
        " 2 is nan; extract the utterance again or drop it",
    ),
    "infinity": (
        lambda: utterance("dev.npy", 1, put((3, 2), -np.inf)),
        "data/raw/mine/dev.npy, dev utterance dev-00001: frame 3, coefficient 2 is "
        "-inf; extract the utterance again or drop it",
    ),
    "infinity in float64": (
        lambda: utterance("dev.npy", 1, put((3, 2), np.inf, "f8")),
        "data/raw/mine/dev.npy, dev utterance dev-00001: frame 3, coefficient 2 is "
        "inf; extract the utterance again or drop it",
    ),
    "NaN in the unlabelled test": (
        lambda: utterance("test.npy", 0, put((0, 39), np.nan)),
        "data/raw/mine/test.npy, test utterance test-00000: frame 0, coefficient 39"
        " is nan; extract the utterance again or drop it",
    ),
    "a float64 too large for float32": (
        lambda: utterance("train.npy", 0, put((1, 1), 1e300, "f8")),
        "data/raw/mine/train.npy, train utterance train-00000: frame 1, coefficient"
        " 1 is 1e+300; extract the utterance again or drop it",
    ),
    "a label out of range": (
        lambda: (phonemes_txt(NAMES), utterance("dev_labels.npy", 1, put(2, 71))),
        "data/raw/mine/dev.npy, dev utterance dev-00001: frame 2 has label 71; "
        "expected 0 to 70; correct it, or list all phonemes",
    ),
    "a label beyond every edition": (
        lambda: utterance("dev_labels.npy", 1, put(2, 999)),
        "data/raw/mine has label 999, but editions have at most 346 classes; add a "
        "phonemes.txt with all phonemes, one a line in label order",
    ),
    "a negative label": (
        lambda: utterance("train_labels.npy", 2, put(4, -1)),
        "data/raw/mine/train.npy, train utterance train-00002: frame 4 has label "
        "-1; expected 0 to 70; correct it, or list all phonemes",
    ),
    "labels that are floats": (
        lambda: utterance("train_labels.npy", 1, lambda labels: labels.astype(float)),
        "data/raw/mine/train.npy, train utterance train-00001: labels are float64 "
        "of shape (5,); expected integers (T,)",
    ),
    "labels that are booleans": (
        lambda: utterance("train_labels.npy", 1, lambda labels: labels > 9),
        "data/raw/mine/train.npy, train utterance train-00001: labels are bool of "
        "shape (5,); expected integers (T,)",
    ),
    "labels in one column": (
        lambda: utterance("train_labels.npy", 1, lambda labels: labels[:, None]),
        "data/raw/mine/train.npy, train utterance train-00001: labels are int64 of "
        "shape (5, 1); expected integers (T,)",
    ),
    "one-hot labels": (
        lambda: utterance("train_labels.npy", 1, lambda labels: np.eye(71, dtype=int)[labels]),
        "data/raw/mine/train.npy, train utterance train-00001: labels are int64 of "
        "shape (5, 71); expected integers (T,)",
    ),
    "text labels after integers": (
        lambda: utterance("dev_labels.npy", 1, lambda labels: np.array(NAMES)[labels]),
        "data/raw/mine/dev_labels.npy, utterance 1: labels are text, those before are integers; "
        "label train and dev in one way",
    ),
    "an empty utterance": (
        lambda: utterance("train.npy", 1, lambda frames: frames[:0]),
        "data/raw/mine/train.npy, train utterance train-00001: has 0 frames of 40 "
        "coefficients; drop empty utterances",
    ),
    "no utterance in train": (
        lambda: np.save(RAW / "train.npy", ragged([])),
        "data/raw/mine/train.npy has 0 utterances, data/raw/mine/train_labels.npy "
        "has 3; take both from one edition",
    ),
    "no utterance at all in train": (
        lambda: [np.save(RAW / f, ragged([])) for f in ("train.npy", "train_labels.npy")],
        "the train split has no utterance; add some or check its path",
    ),
    "no utterance in test": (
        lambda: np.save(RAW / "test.npy", ragged([])),
        "the test split has no utterance; add some or check its path",
    ),
    "another number of bands in one utterance": (
        lambda: utterance("train.npy", 2, lambda frames: frames[:, :39]),
        "data/raw/mine/train.npy, train utterance train-00002: has 39 coefficients "
        "a frame, those before have 40; extract all with the same settings, as (T, "
        "C)",
    ),
    "another number of bands in dev": (
        lambda: [utterance("dev.npy", n, lambda frames: frames[:, :13]) for n in (0, 1)],
        "data/raw/mine/dev.npy, dev utterance dev-00000: has 13 coefficients a "
        "frame, those before have 40; extract all with the same settings, as (T, C)",
    ),
    "a transposed utterance": (
        lambda: utterance("train.npy", 1, lambda f: f.T),
        "data/raw/mine/train.npy, train utterance train-00001: has 5 coefficients a"
        " frame, those before have 40; one of them looks transposed; extract all "
        "with the same settings, as (T, C)",
    ),
    "all utterances transposed": (
        lambda: [
            utterance(f"{split}.npy", n, lambda f: f.T)
            for split, lengths in LENGTHS.items()
            for n in range(len(lengths))
        ],
        "data/raw/mine/train.npy, train utterance train-00000: 40 frames but 7 "
        "labels; every frame needs one label",
    ),
    "frames in three axes": (
        lambda: utterance("train.npy", 1, lambda f: f[:, :, None]),
        "data/raw/mine/train.npy, train utterance train-00001: frames are float32 "
        "of shape (5, 40, 1); expected floats (T, C)",
    ),
    "frames in one axis": (
        lambda: utterance("train.npy", 1, lambda f: f[:, 0]),
        "data/raw/mine/train.npy, train utterance train-00001: frames are float32 "
        "of shape (5,); expected floats (T, C)",
    ),
    "all frames in one array": (
        lambda: np.save(RAW / "train.npy", np.ones((18, 40), np.float32)),
        "data/raw/mine/train.npy has 18 utterances, data/raw/mine/train_labels.npy "
        "has 3; take both from one edition",
    ),
    "an object array of lists": (
        lambda: utterance("train.npy", 1, lambda frames: frames.tolist()),
        "data/raw/mine/train.npy: element 1 is a list; expected an array: save "
        "np.array(element) in its place",
    ),
    "an object array of None": (
        lambda: utterance("train.npy", 1, lambda frames: None),
        "data/raw/mine/train.npy: element 1 is a NoneType; expected an array: save "
        "np.array(element) in its place",
    ),
    "text among numbers": (
        lambda: utterance("train.npy", 1, lambda f: f.astype(str)),
        "data/raw/mine/train.npy, train utterance train-00001: frames are <U32 of "
        "shape (5, 40); expected floats (T, C)",
    ),
    "whole numbers for frames": (
        lambda: utterance("train.npy", 1, lambda f: f.astype(int)),
        "data/raw/mine/train.npy, train utterance train-00001: frames are int64 of "
        "shape (5, 40); expected floats (T, C)",
    ),
    "complex frames": (
        lambda: utterance("train.npy", 1, lambda f: f + 1j),
        "data/raw/mine/train.npy: holds '<c8' values; expected floats, integers or text",
    ),
    "records for frames": (
        lambda: np.save(RAW / "train.npy", np.zeros(3, [("a", "f4"), ("b", "f4")])),
        "data/raw/mine/train.npy: holds [('a', '<f4'), ('b', '<f4')] values; "
        "expected floats, integers or text",
    ),
    "more utterances than labels": (
        lambda: np.save(
            RAW / "train_labels.npy", np.load(RAW / "train_labels.npy", allow_pickle=True)[:-1]
        ),
        "data/raw/mine/train.npy has 3 utterances, data/raw/mine/train_labels.npy "
        "has 2; take both from one edition",
    ),
    "dev is a copy of train": (
        lambda: [
            shutil.copy(RAW / f"train{end}.npy", RAW / f"dev{end}.npy") for end in ("", "_labels")
        ],
        "data/raw/mine/dev.npy is a copy of data/raw/mine/train.npy, so scores of "
        "dev would not be those of data unseen in train; put the right file in its "
        "place",
    ),
    "a missing split": (
        lambda: (RAW / "dev.npy").unlink(),
        "data/raw/mine has no dev.npy or val.npy; it holds dev_labels.npy, "
        "test.npy, train.npy, train_labels.npy: add what is missing",
    ),
    "missing labels": (
        lambda: (RAW / "dev_labels.npy").unlink(),
        "data/raw/mine has no dev_labels.npy or val_labels.npy; it holds dev.npy, "
        "test.npy, train.npy, train_labels.npy: add what is missing",
    ),
    "no data": (
        lambda: shutil.rmtree(RAW),
        "data/raw/mine is not a folder; give the one with the course's files",
    ),
    "an empty folder": (
        lambda: (shutil.rmtree(RAW), RAW.mkdir()),
        "data/raw/mine and two folders down hold no train.npy or train-clean-100 or"
        " train-clean-360 or train_split.txt; data/raw/mine holds nothing: unpack archives and"
        " check the path",
    ),
    "an archive not unpacked": (
        lambda: (shutil.rmtree(RAW), RAW.mkdir(), (RAW / "hw1p2.zip").write_bytes(b"PK\3\4")),
        "data/raw/mine and two folders down hold no train.npy or train-clean-100 or"
        " train-clean-360 or train_split.txt; data/raw/mine holds hw1p2.zip: unpack archives "
        "and check the path",
    ),
    "two editions": (
        lambda: (
            [shutil.copytree(RAW, RAW / name) for name in ("s22", "s23")]
            and (RAW / "train.npy").unlink()
        ),
        "data/raw/mine/s22 and data/raw/mine/s23 both hold train data; give one of them",
    ),
    "a truncated file": (
        lambda: cut(RAW / "train.npy"),
        "data/raw/mine/train.npy: is damaged (ValueError: ...); copy or download it again",
    ),
    "a file of zero bytes": (
        lambda: (RAW / "train.npy").write_bytes(b""),
        "data/raw/mine/train.npy: is not an .npy file: it starts with b''; write it"
        " with np.save, or download it again",
    ),
    "a damaged file": (
        lambda: (RAW / "train.npy").write_bytes(
            (RAW / "train.npy").read_bytes()[:300] + b"\xff" * 40
        ),
        "data/raw/mine/train.npy: is damaged (UnicodeDecodeError: ...); copy or download it again",
    ),
    "a compressed file": (
        lambda: (np.savez(RAW / "z", a=1), (RAW / "z.npz").rename(RAW / "train.npy")),
        "data/raw/mine/train.npy: is an archive; unpack it and give the .npy files in it",
    ),
    "a page instead of a file": (
        lambda: (RAW / "dev.npy").write_bytes(b"<!DOCTYPE html><title>Sign in</title>"),
        "data/raw/mine/dev.npy: is not an .npy file: it starts with b'<!DOCTYP'; "
        "write it with np.save, or download it again",
    ),
    "a pickle that runs a program": (
        lambda: hostile(RAW / "train.npy"),
        "data/raw/mine/train.npy: is not an .npy file: it starts with "
        "b'\\x80\\x02cposix'; write it with np.save, or download it again",
    ),
    "an array that runs a program": (
        lambda: np.save(RAW / "train.npy", ragged([Exploit()])),
        "data/raw/mine/train.npy: names 'posix.system', which is no part of an "
        "array of numbers or text: loading it could run code, so it is refused; get"
        " the file from a source you trust",
    ),
    "a folder named train.npy": (
        lambda: folder_instead(RAW / "train.npy"),
        "data/raw/mine/train.npy is not a file; put the .npy file itself in its place",
    ),
    "a pipe named dev.npy": (
        lambda: pipe(RAW / "dev.npy"),
        "data/raw/mine/dev.npy is not a file; put the .npy file itself in its place",
    ),
    "a link to itself": (
        lambda: link_loop(RAW / "dev.npy"),
        "data/raw/mine/dev.npy is not a file; put the .npy file itself in its place",
    ),
    "a link out of the folder": (
        lambda: (
            (RAW / "dev.npy").rename("elsewhere.npy"),
            (RAW / "dev.npy").symlink_to(Path("elsewhere.npy").absolute()),
        ),
        "data/raw/mine/dev.npy is a link out of data/raw/mine; put what it points to in its place",
    ),
    "test labels too few": (
        lambda: labels_csv("id,label", *["0,2"] * 10),
        "data/raw/mine/phoneme_labels_for_test_data.csv has 10 rows, the utterances"
        " have 11 frames; take both from one edition",
    ),
    "test labels with a gap": (
        lambda: labels_csv("id,label", "0,", *["0,2"] * 10),
        "data/raw/mine/phoneme_labels_for_test_data.csv, row 0: has no label; every"
        " frame needs one",
    ),
    "test labels that are no phonemes": (
        lambda: labels_csv("id,label", *["0,SIL"] * 10, "0,AAA"),
        "data/raw/mine/phoneme_labels_for_test_data.csv, utterance 1, frame 5: "
        "unknown phoneme 'AAA'; did you mean AA2?",
    ),
    "test labels without their column": (
        lambda: labels_csv("id,phone", *["0,2"] * 11),
        "data/raw/mine/phoneme_labels_for_test_data.csv cannot be read: it has 0 columns named "
        "'label'; expected CSV in UTF-8 with a column label",
    ),
    "test labels of zero bytes": (
        lambda: (RAW / "phoneme_labels_for_test_data.csv").write_bytes(b""),
        "data/raw/mine/phoneme_labels_for_test_data.csv cannot be read: ...; "
        "expected CSV in UTF-8 with a column label",
    ),
    "test labels in another encoding": (
        lambda: (RAW / "phoneme_labels_for_test_data.csv").write_bytes(b"label\n\xff\xfe\n"),
        "data/raw/mine/phoneme_labels_for_test_data.csv cannot be read: ...; "
        "expected CSV in UTF-8 with a column label",
    ),
    "a phoneme listed twice": (
        lambda: phonemes_txt(["SIL", "AA0", "AA0"]),
        "data/raw/mine/phonemes.txt: phoneme AA0 is listed twice; remove one",
    ),
    "phonemes with a gap": (
        lambda: phonemes_txt(["SIL 0", "AA0 1", "AA1 3"]),
        "data/raw/mine/phonemes.txt: expected a phoneme and its index on each line,"
        " 0 to the number of phonemes less 1, or phonemes alone in label order",
    ),
    "fewer phonemes than labels": (
        lambda: phonemes_txt(NAMES[:-1]),
        "data/raw/mine/train.npy, train utterance train-00000: frame 0 has label "
        "70; expected 0 to 69; correct it, or list all phonemes",
    ),
    "phonemes of zero bytes": (
        lambda: phonemes_txt([]),
        "data/raw/mine/phonemes.txt: expected a phoneme and its index on each line,"
        " 0 to the number of phonemes less 1, or phonemes alone in label order",
    ),
    "phonemes in another encoding": (
        lambda: (RAW / "phonemes.txt").write_bytes(b"SIL\nA\xc4\n"),
        "data/raw/mine/phonemes.txt cannot be read: ...; save it as text in UTF-8",
    ),
    "a folder named phonemes.txt": (
        lambda: (RAW / "phonemes.txt").mkdir(),
        "data/raw/mine/phonemes.txt is not a file; put a list of phonemes in its place",
    ),
    "a pipe named phonemes.txt": (
        lambda: os.mkfifo(RAW / "phonemes.txt"),
        "data/raw/mine/phonemes.txt is not a file; put a list of phonemes in its place",
    ),
    "a pipe of test labels": (
        lambda: os.mkfifo(RAW / "phoneme_labels_for_test_data.csv"),
        "data/raw/mine/phoneme_labels_for_test_data.csv is not a file; put a CSV file in its place",
    ),
}
tree_kinds = {
    "an unknown phone": (
        lambda: array(TRANSCRIPT / FIRST, put(3, "AEY")),
        "data/raw/mine/train-clean-100/transcript/train0-1-0000.npy, frame 2: "
        "unknown phoneme 'AEY'; did you mean EY2?",
    ),
    "an unknown phone like none": (
        lambda: array(TRANSCRIPT / FIRST, put(3, "@@")),
        "data/raw/mine/train-clean-100/transcript/train0-1-0000.npy, frame 2: unknown phoneme '@@'",
    ),
    "no mark at the start": (
        lambda: array(TRANSCRIPT / FIRST, lambda phones: phones[1:]),
        "data/raw/mine/train-clean-100/transcript/train0-1-0000.npy: begins with "
        "'ZH' and ends with '<eos>'; the sentence mark <eos> has no partner: add it"
        " or remove <eos>",
    ),
    "no mark at the end": (
        lambda: array(TRANSCRIPT / FIRST, lambda phones: phones[:-1]),
        "data/raw/mine/train-clean-100/transcript/train0-1-0000.npy: begins with "
        "'<sos>' and ends with 'JH'; the sentence mark <sos> has no partner: add it"
        " or remove <sos>",
    ),
    "a mark in the middle": (
        lambda: array(TRANSCRIPT / FIRST, put(3, "<eos>")),
        "data/raw/mine/train-clean-100/transcript/train0-1-0000.npy, frame 2: "
        "unknown phoneme '<eos>'",
    ),
    "transcript of another utterance": (
        lambda: shutil.copy(TRANSCRIPT / "train1-1-0000.npy", TRANSCRIPT / FIRST),
        "data/raw/mine/train-clean-100/mfcc/train0-1-0000.npy, train utterance "
        "train0-1-0000: 7 frames but 5 labels; every frame needs one label",
    ),
    "a missing transcript": (
        lambda: (TRANSCRIPT / FIRST).unlink(),
        "data/raw/mine/train-clean-100/transcript/train0-1-0000.npy is missing; "
        "every mfcc file needs a transcript",
    ),
    "a transcript without frames": (
        lambda: (MFCC / FIRST).unlink(),
        "data/raw/mine/train-clean-100/transcript/train0-1-0000.npy is without a "
        "file of the same name in mfcc; add or delete",
    ),
    "the same name twice": (
        lambda: [
            shutil.copy(RAW / f"dev-clean/{kind}/dev0-1-0000.npy", RAW / f"train-clean-100/{kind}")
            for kind in ("mfcc", "transcript")
        ],
        "data/raw/mine/dev-clean/mfcc/dev0-1-0000.npy, dev utterance dev0-1-0000: "
        "this name is taken by an utterance of train; give every utterance its own "
        "name",
    ),
    "a speaker in two splits": (
        lambda: [
            (RAW / f"dev-clean/{kind}/dev0-1-0000.npy").rename(
                RAW / f"dev-clean/{kind}/train0-2-0000.npy"
            )
            for kind in ("mfcc", "transcript")
        ],
        "data/raw/mine/dev-clean/mfcc/train0-2-0000.npy, dev utterance "
        "train0-2-0000: speaker train0 is in train too, so scores would not be "
        "those of unseen speakers; move the speaker to one split, or set "
        "corpus.allow_shared_speakers to true",
    ),
    "frames in the wrong folder": (
        lambda: [
            (MFCC / FIRST).rename("x"),
            (TRANSCRIPT / FIRST).rename(MFCC / FIRST),
            Path("x").rename(TRANSCRIPT / FIRST),
        ],
        "data/raw/mine/train-clean-100/mfcc/train0-1-0000.npy, train utterance "
        "train0-1-0000: frames are <U5 of shape (9,); expected floats (T, C)",
    ),
    "an mfcc file that links to itself": (
        lambda: link_loop(MFCC / FIRST),
        "data/raw/mine/train-clean-100/mfcc/train0-1-0000.npy is not a file; put "
        "the .npy file itself in its place",
    ),
    "an mfcc link to nowhere": (
        lambda: ((MFCC / FIRST).unlink(), (MFCC / FIRST).symlink_to("nowhere.npy")),
        "data/raw/mine/train-clean-100/mfcc/train0-1-0000.npy is not a file; put "
        "the .npy file itself in its place",
    ),
    "a missing mfcc folder": (
        lambda: shutil.rmtree(RAW / "dev-clean/mfcc"),
        "data/raw/mine has no dev-clean/mfcc; it holds dev-clean, test-clean, "
        "train-clean-100: add what is missing",
    ),
    "a missing dev-clean": (
        lambda: shutil.rmtree(RAW / "dev-clean"),
        "data/raw/mine has no dev-clean/mfcc; it holds test-clean, train-clean-100:"
        " add what is missing",
    ),
    "empty mfcc folders": (
        lambda: [file.unlink() for file in (RAW / "test-clean/mfcc").iterdir()],
        "the test split has no utterance; add some or check its path",
    ),
    "a test order with a name twice": (
        lambda: test_order(["test0-1-0000", "test1-1-0000", "test0-1-0000"]),
        "data/raw/mine/test_order.csv, row 2: 'test0-1-0000' is listed twice; remove one",
    ),
    "a test order with an absent name": (
        lambda: test_order(["test0-1-0000", "test1-1-0000", "test2-1-0000"]),
        "data/raw/mine/test_order.csv, row 2: there is no 'test2-1-0000' in "
        "test-clean/mfcc; add or delete",
    ),
    "a test order that leaves one out": (
        lambda: test_order(["test0-1-0000"]),
        "data/raw/mine/test-clean/mfcc/test1-1-0000.npy is not in "
        "data/raw/mine/test_order.csv; add or delete",
    ),
    "a test order with a path": (
        lambda: test_order(["test0-1-0000", "../../dev-clean/mfcc/dev0-1-0000"]),
        "data/raw/mine/test_order.csv, row 1: there is no "
        "'../../dev-clean/mfcc/dev0-1-0000' in test-clean/mfcc; add or delete",
    ),
    "a test order of zero bytes": (
        lambda: (RAW / "test_order.csv").write_bytes(b""),
        "data/raw/mine/test_order.csv cannot be read: ...; expected CSV in UTF-8",
    ),
    "a single value for an utterance": (
        lambda: np.save(MFCC / FIRST, np.float32(1)),
        "data/raw/mine/train-clean-100/mfcc/train0-1-0000.npy, train utterance "
        "train0-1-0000: frames are float32 of shape (); expected floats (T, C)",
    ),
    "a file name that is no text": (
        lambda: [
            path.rename(path.with_name("\udcff.npy"))  # the byte 0xff
            for path in (MFCC / FIRST, TRANSCRIPT / FIRST)
        ],
        "'data/raw/mine/train-clean-100/mfcc/\\udcff.npy': its name is not UTF-8; rename it",
    ),
}


def wav(samples: np.ndarray, rate: int = RATE, path: Path = TRAIN0, **options) -> None:
    soundfile.write(path, samples, rate, **options)


def grid(old: str, new: str) -> None:
    replace(GRID0, old, new)


audio_kinds = {
    "a corrupt recording": (
        lambda: TRAIN0.write_bytes(b"RIFF" + b"\xff" * 500),
        "cannot read data/raw/mine/train/s0/a.wav: ...; expected whole wav, flac or"
        " uncompressed NIST sphere",
    ),
    "a recording of zero bytes": (
        lambda: TRAIN0.write_bytes(b""),
        "cannot read data/raw/mine/train/s0/a.wav: ...; expected whole wav, flac or"
        " uncompressed NIST sphere",
    ),
    "a recording without samples": (
        lambda: wav(np.zeros(0)),
        "data/raw/mine/train/s0/a.wav: 0 samples are shorter than one frame of 400;"
        " drop the recording",
    ),
    "a truncated recording": (
        lambda: cut(TRAIN0),
        "data/raw/mine/train/s0/a.wav is cut short: its header declares more sound than the 2389 "
        "samples that are there; copy or download it again",
    ),
    "a truncated recording without alignment": (
        lambda: (
            [path.unlink() for path in (RAW / "test").rglob("*.TextGrid")],
            cut(RAW / "test/s4/a.wav"),
        ),
        "data/raw/mine/test/s4/a.wav is cut short: its header declares more sound than the 2389 "
        "samples that are there; copy or download it again",
    ),
    "a recording without signal": (
        lambda: wav(np.zeros(4800)),
        "data/raw/mine/train/s0/a.wav has no signal: all its samples are 0; check how it was "
        "made, or drop the recording",
    ),
    "16-bit values written as 32-bit integers": (
        lambda: wav((sound() * 2**15).astype(np.int32), subtype="PCM_32"),
        "data/raw/mine/train/s0/a.wav has no signal: its samples span ... were 16-bit values "
        "written as 32-bit integers? Write it at its full level, lower features.floor, or drop "
        "the recording",
    ),
    "channels that cancel each other": (
        lambda: wav(np.stack([sound(), -sound()], axis=1)),
        "data/raw/mine/train/s0/a.wav: its 2 channels cancel each other when they are averaged; "
        "one has its polarity reversed: invert it, or keep one channel",
    ),
    "a truncated header": (
        lambda: cut(TRAIN0, 0.003),
        "cannot read data/raw/mine/train/s0/a.wav: ...; expected whole wav, flac or"
        " uncompressed NIST sphere",
    ),
    "a recording shorter than a frame": (
        lambda: wav(np.zeros(399)),
        "data/raw/mine/train/s0/a.wav: 399 samples are shorter than one frame of "
        "400; drop the recording",
    ),
    "NaN in a recording": (
        lambda: wav(np.full(4800, np.nan, np.float32), subtype="FLOAT"),
        "data/raw/mine/train/s0/a.wav holds samples that are no finite numbers; write it again",
    ),
    "text named .wav": (
        lambda: TRAIN0.write_text("no sound\n" * 50),
        "cannot read data/raw/mine/train/s0/a.wav: ...; expected whole wav, flac or"
        " uncompressed NIST sphere",
    ),
    "a folder named .wav": (
        lambda: folder_instead(TRAIN0),
        "cannot read data/raw/mine/train/s0/a.wav: it is not a file; put the "
        "recording in its place",
    ),
    "a pipe named .wav": (
        lambda: pipe(TRAIN0),
        "cannot read data/raw/mine/train/s0/a.wav: it is not a file; put the "
        "recording in its place",
    ),
    "a recording that links to itself": (
        lambda: link_loop(TRAIN0),
        "cannot read data/raw/mine/train/s0/a.wav: it is not a file; put the "
        "recording in its place",
    ),
    "a rate of 100 Hz": (
        lambda: wav(np.zeros(30), 100),
        "data/raw/mine/train/s0/a.wav claims 100 samples a second; is it damaged?",
    ),
    "a TextGrid without the tier": (
        lambda: grid('"phones"', '"phone"'),
        "data/raw/mine/train/s0/a.TextGrid has no interval tier 'phones'; set corpus.audio.tier "
        "to one of its tiers, or to a pattern such as '* - phones' where names differ: phone",
    ),
    "a TextGrid with the tier twice": (
        lambda: grid("<exists>\n1\n", '<exists>\n2\n"IntervalTier" "phones" 0 0.3 1 0 0.3 "S"\n'),
        "data/raw/mine/train/s0/a.TextGrid has 2 interval tiers for corpus.audio.tier, 'phones': "
        "tier 1 'phones', tier 2 'phones'; rename or remove all but one, or set "
        "corpus.audio.tier to what only one matches",
    ),
    "a TextGrid of points": (
        lambda: GRID0.write_text(
            'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n0.3\n<exists>\n1\n'
            '"TextTier"\n"phones"\n0\n0.3\n1\n0.1\n"AA1"\n'
        ),
        "data/raw/mine/train/s0/a.TextGrid has no interval tier 'phones'; set corpus.audio.tier "
        "to one of its tiers, or to a pattern such as '* - phones' where names differ: phones "
        "(points)",
    ),
    "overlapping intervals": (
        lambda: grid('0.2\n0.3\n"S"', '0.15\n0.3\n"S"'),
        "data/raw/mine/train/s0/a.TextGrid: 'S' from 0.150 to 0.300 s follows 0.100"
        " to 0.200 s; expected times that rise and do not overlap",
    ),
    "times that fall": (
        lambda: grid('0.2\n0.3\n"S"', '0.2\n0.1\n"S"'),
        "data/raw/mine/train/s0/a.TextGrid: 'S' from 0.200 to 0.100 s follows 0.100 to 0.200 s; "
        "expected times that rise and do not overlap",
    ),
    "times that are no numbers": (
        lambda: grid('0.2\n0.3\n"S"', '0.2\nnan\n"S"'),
        "cannot read data/raw/mine/train/s0/a.TextGrid: ...; write it again as "
        'UTF-8 with Praat\'s "Save as text file"',
    ),
    "a TextGrid shorter than the audio": (
        lambda: wav(sound(seconds=0.5)),
        "data/raw/mine/train/s0/a.TextGrid: the alignment is 0.300 s long, its "
        "recording 0.500 s; do they belong together, at the same speed?",
    ),
    "a TextGrid longer than the audio": (
        lambda: wav(sound(seconds=0.1)),
        "data/raw/mine/train/s0/a.TextGrid: the alignment is 0.300 s long, its "
        "recording 0.100 s; do they belong together, at the same speed?",
    ),
    "an unknown phone in a TextGrid": (
        lambda: grid('"AA1"', '"AAA1"'),
        "data/raw/mine/train/s0/a.TextGrid, 0.100 s: phone 'AAA1' is not in "
        "corpus.audio.phonemes: arpabet-stress; did you mean AA1?",
    ),
    "a vowel without stress": (
        lambda: grid('"AA1"', '"AA"'),
        "data/raw/mine/train/s0/a.TextGrid, 0.100 s: vowel 'AA' has no stress "
        "digit; set corpus.audio.phonemes: arpabet-plain",
    ),
    "a truncated TextGrid": (
        lambda: cut(GRID0, 0.7),
        "cannot read data/raw/mine/train/s0/a.TextGrid: ...; write it again as "
        'UTF-8 with Praat\'s "Save as text file"',
    ),
    "a TextGrid of zero bytes": (
        lambda: GRID0.write_bytes(b""),
        "data/raw/mine/train/s0/a.TextGrid is no TextGrid in text format; write it "
        'with Praat\'s "Save as text file" or "Save as short text file"',
    ),
    "a TextGrid in another encoding": (
        lambda: GRID0.write_bytes(TEXTGRID.replace("AA1", "Ä").encode("latin-1")),
        "data/raw/mine/train/s0/a.TextGrid, 0.100 s: phone 'Ä' is not in corpus.audio.phonemes: "
        "arpabet-stress; translate other inventories by corpus.audio.map",
    ),
    "another format named .TextGrid": (
        lambda: GRID0.write_text("<xml>no grid</xml>\n"),
        "data/raw/mine/train/s0/a.TextGrid is no TextGrid in text format; write it "
        'with Praat\'s "Save as text file" or "Save as short text file"',
    ),
    "a folder named .TextGrid": (
        lambda: folder_instead(GRID0),
        "cannot read data/raw/mine/train/s0/a.TextGrid: ...",
    ),
    "a recording without TextGrid": (
        lambda: GRID0.unlink(),
        "1 of the 2 recordings in train have no alignment: "
        "data/raw/mine/train/s0/a.TextGrid; add them, set corpus.audio.unaligned to skip, which "
        "leaves them out, move the recordings out of corpus.path, or check "
        "corpus.audio.alignments",
    ),
    "a TextGrid without recording": (
        lambda: shutil.copy(GRID0, GRID0.with_stem("b")),
        "1 alignment in data/raw/mine without recording in data/raw/mine: "
        "train/s0/b.TextGrid; add the recordings or move the alignments out",
    ),
    "alignments that DVC does not watch": (
        lambda: set_params({"corpus": {"audio": {"alignments": "../.."}}}),
        "corpus.audio.alignments: ../.. leads out of corpus.path, data/raw/mine, and DVC watches "
        "nothing else: a change there would go unnoticed; move or copy into data/raw/mine what it "
        "leads to",
    ),
    "a folder linked into itself": (
        lambda: [(RAW / "train" / name).symlink_to(".") for name in ("loop", "loop2")],
        "data/raw/mine/train/loop... is a link to a folder, which DVC does not follow; put the "
        "folder in its place, or remove the link",
    ),
    "a recording linked from elsewhere": (
        lambda: (TRAIN0.rename("a.wav"), TRAIN0.symlink_to(Path("a.wav").absolute())),
        "data/raw/mine/train/s0/a.wav is a link that leads out of corpus.path, data/raw/mine, and "
        "DVC watches nothing else: a change there would go unnoticed; move or copy into "
        "data/raw/mine what it leads to",
    ),
    "a name with a carriage return": (
        lambda: (RAW / "train/s0").rename(RAW / "train/s\r0"),
        "'data/raw/mine/train/s\\r0/a...': its name has the control character '\\r'; rename it",
    ),
    "sessions of one name": (
        lambda: [
            (RAW / f"train/s{n}").rename((RAW / f"train/p{n}").mkdir() or RAW / f"train/p{n}/day1")
            for n in (0, 1)
        ],
        "corpus.audio.speaker: folder takes p0/day1 and p1/day1 for one speaker, day1; say which "
        "part of the path is the speaker, as with -S \"corpus.audio.speaker='^[^/]+/([^/]+)/'\", "
        "or '([^/]+)/[^/]+$' if they are one",
    ),
    "one recording as wav and flac": (
        lambda: wav(sound(), path=TRAIN0.with_suffix(".flac")),
        "data/raw/mine/train/s0/a.flac and data/raw/mine/train/s0/a.wav are one "
        "utterance by their names; keep one",
    ),
    "a recording in no split": (
        lambda: (RAW / "train").rename(RAW / "other"),
        "2 recordings in no folder train, dev (or val) or test: other/s0/a.wav,"
        " other/s1/a.wav; move them, or set corpus.audio.split to list or share",
    ),
    "a folder without recordings": (
        lambda: (shutil.rmtree(RAW), RAW.mkdir()),
        "data/raw/mine holds no .wav or .flac file in layout textgrid; check "
        "corpus.path and corpus.audio.layout",
    ),
    "a speaker's folder in two splits": (
        lambda: (RAW / "dev/s2").rename(RAW / "dev/s0"),
        "data/raw/mine/dev/s0/a.wav, dev utterance dev/s0/a: speaker s0 is in train"
        " too, so scores would not be those of unseen speakers; move the speaker to"
        " one split, or set corpus.allow_shared_speakers to true",
    ),
    "bands too narrow for the spectrum": (
        lambda: set_params({"features": {"bands": 200}}),
        "features.bands is 200: band 2, 38.1 to 56.6 Hz, lies between two "
        "frequencies of the spectrum and would be constant; lower features.bands or"
        " raise features.fft from 512",
    ),
    "bands beyond half the rate": (
        lambda: set_params({"features": {"high": 8001}}),
        "params.yaml has 1 problem:...features.high is 8001 Hz; expected at most "
        "half of features.sample_rate, 8000",
    ),
    "a frame longer than the fft": (
        lambda: set_params({"features": {"frame_width": 40}}),
        "params.yaml has 1 problem:...features.fft is 512; expected at least the "
        "640 samples of a frame",
    ),
    "too few speakers for shares": (
        lambda: set_params(
            {"corpus": {"audio": {"split": "share", "dev_share": 0.9, "test_share": 0.05}}}
        ),
        "corpus.audio.split: share leaves train no speaker: dev takes 5 and test 1 "
        "of 6 (s0, s1, s2 and 3 more); add speakers, or check corpus.audio.speaker,"
        " dev_share and test_share",
    ),
    "a pattern that is none": (
        lambda: set_params({"corpus": {"audio": {"speaker": "(["}}}),
        "corpus.audio.speaker is '([': ...; expected folder or a regular expression whose group 1 "
        "is the speaker, such as -S \"corpus.audio.speaker='^([^_]+)_'\"",
    ),
    "a pattern that finds nobody": (
        lambda: set_params({"corpus": {"audio": {"speaker": "spk([0-9]+)"}}}),
        "corpus.audio.speaker: 'spk([0-9]+)' finds no speaker in 'dev/s2/a.wav'",
    ),
    "a recording's name that is no text": (
        lambda: [path.rename(path.with_name(f"\udcff{path.suffix}")) for path in (TRAIN0, GRID0)],
        "'data/raw/mine/train/s0/\\udcff...': its name is not UTF-8; rename it",
    ),
}
listed_kinds = {
    "a missing list": (
        lambda: LIST.unlink(),
        "corpus.audio.split is list, and there is no data/raw/mine/speakers.csv; write it with "
        "the columns file,speaker,split, or set corpus.audio.split to share",
    ),
    "a list of zero bytes": (
        lambda: LIST.write_bytes(b""),
        "cannot read corpus.audio.speakers, data/raw/mine/speakers.csv: ...; "
        "expected CSV in UTF-8, each row as long as its header",
    ),
    "a list without splits": (
        lambda: replace(LIST, "split", "part"),
        "data/raw/mine/speakers.csv has the columns speaker, part; expected split "
        "and file or speaker",
    ),
    "a list without speakers": (
        lambda: replace(LIST, "speaker", "who"),
        "data/raw/mine/speakers.csv has the columns who, split; expected split and file or speaker",
    ),
    "a list with an unknown split": (
        lambda: replace(LIST, "s2,dev", "s2,eval"),
        "data/raw/mine/speakers.csv, line 4: split is 'eval'; expected train, dev or test",
    ),
    "a list that leaves a speaker out": (
        lambda: replace(LIST, "s2,dev\n", "\n"),
        "data/raw/mine/speakers.csv: 1 recording not listed (s2/a); make both agree",
    ),
    "a list with an absent speaker": (
        lambda: replace(LIST, "s5", "s5,test\ns9"),
        "data/raw/mine/speakers.csv: 1 row without recording (s9); make both agree",
    ),
    "a list with two places for a speaker": (
        lambda: replace(LIST, "s5", "s0,test\ns5"),
        "data/raw/mine/speakers.csv, line 7: speaker s0 has another place above",
    ),
    "a list with a row cut short": (
        lambda: replace(LIST, "s2,dev", "s2"),
        "data/raw/mine/speakers.csv, line 4: split is ''; expected train, dev or test",
    ),
    "a list with too many columns in a row": (
        lambda: replace(LIST, "s2,dev", "s2,dev,x,y"),
        "cannot read corpus.audio.speakers, data/raw/mine/speakers.csv: ...Expected"
        " 2 fields in line 4, saw 4; expected CSV in UTF-8, each row as long as its"
        " header",
    ),
    "a list with too many columns in each row": (
        lambda: LIST.write_text(LIST.read_text().replace("\n", ",\n").replace("split,", "split")),
        "cannot read corpus.audio.speakers, data/raw/mine/speakers.csv: ...; "
        "expected CSV in UTF-8, each row as long as its header",
    ),
    "a list in another encoding": (
        lambda: LIST.write_bytes(LIST.read_bytes() + b"\xc4,dev\n"),
        "cannot read corpus.audio.speakers, data/raw/mine/speakers.csv: ...; "
        "expected CSV in UTF-8, each row as long as its header",
    ),
    "a list that leaves test empty": (
        lambda: LIST.write_text(LIST.read_text().replace("test", "dev")),
        "no recording in data/raw/mine is in the test split; add some, or set "
        "corpus.audio.split to share, which draws the splits from all speakers",
    ),
    "a folder named as the list": (
        lambda: folder_instead(LIST),
        "cannot read corpus.audio.speakers, data/raw/mine/speakers.csv: ...; "
        "expected CSV in UTF-8, each row as long as its header",
    ),
}
timit_kinds = {
    "PHN of another sample rate": (
        lambda: (
            wav(sound(seconds=1.5), path=PHN0.with_suffix(".WAV")),
            PHN0.write_text("0 6000 h#\n6000 12000 aa\n"),
        ),
        "data/raw/mine/train/DR1/s0/a.PHN: it ends at 0.750 s if it counts samples at 16000 Hz, "
        "the rate of its recording of 1.500 s, and fits samples at 8000 Hz; take the recording at "
        "that rate, or write the alignment anew",
    ),
    "PHN with a time that is none": (
        lambda: replace(PHN0, "3200 aa", "x aa"),
        "data/raw/mine/train/DR1/s0/a.PHN, line 2: expected start, end, phone; got '1600 x aa'",
    ),
    "PHN with two columns": (
        lambda: replace(PHN0, "1600 3200 aa", "1600 aa"),
        "data/raw/mine/train/DR1/s0/a.PHN, line 2: expected start, end, phone; got '1600 aa'",
    ),
    "PHN that overlaps": (
        lambda: replace(PHN0, "3200 4800 s", "1700 4800 s"),
        "data/raw/mine/train/DR1/s0/a.PHN: 's' from 0.106 to 0.300 s follows 0.100 "
        "to 0.200 s; expected times that rise and do not overlap",
    ),
    "PHN with an unknown phone": (
        lambda: replace(PHN0, "aa", "axx"),
        "data/raw/mine/train/DR1/s0/a.PHN, 0.100 s: phone 'axx' is not in "
        "corpus.audio.phonemes: timit; did you mean ax?",
    ),
    "PHN of zero bytes": (
        lambda: PHN0.write_bytes(b""),
        "data/raw/mine/train/DR1/s0/a.PHN has no phones",
    ),
    "PHN with negative times": (
        lambda: replace(PHN0, "0 1600", "-9 1600"),
        "data/raw/mine/train/DR1/s0/a.PHN: 'h#' from -0.001 to 0.100 s follows "
        "0.000 to 0.000 s; expected times that rise and do not overlap",
    ),
}
arctic_kinds = {
    "a lab in another encoding": (
        lambda: LAB0.write_bytes(LAB.encode() + b"0.31 125 \xff\n"),
        "data/raw/mine/train/s0/lab/a.lab is not UTF-8: ...; save it as UTF-8",
    ),
    "a lab with falling times": (
        lambda: replace(LAB0, "0.2", "0.05"),
        "data/raw/mine/train/s0/lab/a.lab: 'aa' from 0.100 to 0.050 s follows 0.000"
        " to 0.100 s; expected times that rise and do not overlap",
    ),
    "a lab with a line cut short": (
        lambda: replace(LAB0, "0.2 125 aa", "0.2"),
        "data/raw/mine/train/s0/lab/a.lab, line 4: expected end, code, phone; got '0.2'",
    ),
    "a lab without a header": (
        lambda: replace(LAB0, "#\n", "\n"),
        "data/raw/mine/train/s0/lab/a.lab, line 1: expected start, end, phone; got 'signal x'",
    ),
    "a lab with an unknown phone": (
        lambda: replace(LAB0, "aa", "ahh"),
        "data/raw/mine/train/s0/lab/a.lab, 0.100 s: phone 'ahh' is not in "
        "corpus.audio.phonemes: arpabet-plain; did you mean HH?",
    ),
    "a lab of nothing but its header": (
        lambda: LAB0.write_text("#\n"),
        "data/raw/mine/train/s0/lab/a.lab has no phones",
    ),
}
FRAMES, LENGTH, LABELS = (CORPUS / kind / "train.npy" for kind in ("frames", "lengths", "labels"))
DEV, INDEX = NORMALIZED / "dev.npy", CONTEXT / "dev.npy"
DAMAGED = f"{MODEL} is damaged: ...; {MADE_ANEW}"
NO_MODEL = f"{MODEL} is not a model of this pipeline: ...; delete it and run `dvc repro`"
MADE_FOR = f"{MODEL} was made for other data:"
TRAIN_ANEW = "; run `dvc repro` to train a model for these data"


def model(edit: Callable[[dict, dict], object]) -> None:
    tensors, description = read_tensors(MODEL)
    edit(tensors, description)
    write_tensors(MODEL, tensors, description)


def reordered(path: Path) -> None:
    path.write_text("\n".join(reversed(path.read_text().split())))


later_kinds = {
    "normalize": {
        "missing frames": (
            lambda: FRAMES.unlink(),
            "data/corpus/frames/train.npy is missing; run `dvc repro` to make it",
        ),
        "truncated frames": (
            lambda: cut(FRAMES),
            f"data/corpus/frames/train.npy is damaged (...); {MADE_ANEW}",
        ),
        "frames of zero bytes": (
            lambda: FRAMES.write_bytes(b""),
            f"data/corpus/frames/train.npy is damaged (...); {MADE_ANEW}",
        ),
        "a folder for the frames": (
            lambda: folder_instead(FRAMES),
            f"data/corpus/frames/train.npy is damaged (...); {MADE_ANEW}",
        ),
        "pickled frames": (
            lambda: np.save(FRAMES, ragged([Exploit()])),
            f"data/corpus/frames/train.npy is damaged (...); {MADE_ANEW}",
        ),
        "frames in one axis": (
            lambda: array(FRAMES, np.ravel),
            "data/corpus/frames/train.npy holds float32 of shape (720,); expected "
            "floats of shape (18, any), as the other files say; delete it and run `dvc "
            "repro`",
        ),
        "fewer frames than lengths say": (
            lambda: array(FRAMES, lambda a: a[:-1]),
            "data/corpus/frames/train.npy holds float32 of shape (17, 40); expected "
            "floats of shape (18, any), as the other files say; delete it and run `dvc "
            "repro`",
        ),
        "more frames than lengths say": (
            lambda: array(LENGTH, lambda a: a[:-1]),
            "data/corpus/frames/train.npy holds float32 of shape (18, 40); expected "
            "floats of shape (12, any), as the other files say; delete it and run `dvc "
            "repro`",
        ),
        "negative lengths": (
            lambda: array(LENGTH, put(1, -5)),
            "data/corpus/lengths/train.npy: utterance 1 has -5 frames; delete it and "
            "run `dvc repro`",
        ),
        "lengths that are floats": (
            lambda: array(LENGTH, lambda a: a + 0.5),
            "data/corpus/lengths/train.npy holds float64 of shape (3,); expected "
            "integers of shape (any), as the other files say; delete it and run `dvc "
            "repro`",
        ),
        "a missing list of utterances": (
            lambda: (CORPUS / "utterances/train.csv").unlink(),
            "cannot read data/corpus/utterances/train.csv (...); run `dvc repro` to make it",
        ),
        "a list of other utterances": (
            lambda: (CORPUS / "utterances/train.csv").write_text("name,speaker\nx,\n"),
            "data/corpus/utterances/train.csv has 1 rows of name,speaker; expected 3 of"
            " name,speaker, as the other files say; delete it and run `dvc repro`",
        ),
        "utterances without their header": (
            lambda: replace(CORPUS / "utterances/train.csv", "name,speaker", "a,b"),
            "data/corpus/utterances/train.csv has 3 rows of a,b; expected 3 of "
            "name,speaker, as the other files say; delete it and run `dvc repro`",
        ),
        "no speakers to normalize over": (
            lambda: set_params({"normalize": {"over": "speaker"}}),
            "the speaker of utterance 0 is unknown; set normalize.over to utterance or corpus",
        ),
        "a missing corpus": (
            lambda: shutil.rmtree(CORPUS),
            "data/corpus/lengths/train.npy is missing; run `dvc repro` to make it",
        ),
    },
    "context": {
        "missing lengths": (
            lambda: LENGTH.unlink(),
            "data/corpus/lengths/train.npy is missing; run `dvc repro` to make it",
        ),
        "truncated lengths": (
            lambda: cut(LENGTH, 0.9),
            f"data/corpus/lengths/train.npy is damaged (...); {MADE_ANEW}",
        ),
        "a length of 0": (
            lambda: array(LENGTH, put(1, 0)),
            "data/corpus/lengths/train.npy: utterance 1 has 0 frames; delete it and run"
            " `dvc repro`",
        ),
        "a negative length": (
            lambda: array(LENGTH, put(1, -1)),
            "data/corpus/lengths/train.npy: utterance 1 has -1 frames; delete it and "
            "run `dvc repro`",
        ),
        "no lengths": (
            lambda: array(LENGTH, lambda a: a[:0]),
            "data/corpus/lengths/train.npy: is empty; delete it and run `dvc repro`",
        ),
        "lengths that are floats": (
            lambda: array(LENGTH, lambda a: a + 0.5),
            "data/corpus/lengths/train.npy holds float64 of shape (3,); expected "
            "integers of shape (any), as the other files say; delete it and run `dvc "
            "repro`",
        ),
        "lengths in two axes": (
            lambda: array(LENGTH, lambda a: a[:, None]),
            "data/corpus/lengths/train.npy holds int64 of shape (3, 1); expected "
            "integers of shape (any), as the other files say; delete it and run `dvc "
            "repro`",
        ),
    },
    "train": {
        "missing normalized frames": (
            lambda: DEV.unlink(),
            "data/normalized/dev.npy is missing; run `dvc repro` to make it",
        ),
        "truncated normalized frames": (
            lambda: cut(DEV),
            f"data/normalized/dev.npy is damaged (...); {MADE_ANEW}",
        ),
        "normalized frames of another corpus": (
            lambda: array(DEV, lambda a: a[:-1]),
            "data/normalized/dev.npy holds float32 of shape (10, 40); expected floats "
            "of shape (11, any), as the other files say; delete it and run `dvc repro`",
        ),
        "normalized frames of other bands": (
            lambda: array(DEV, lambda a: a[:, :-1]),
            "the network takes windows of 5 frames of 40 bands and has 71 phonemes, the data "
            "have 5, 39 and 71: other data.k, bands or corpus; run `dvc repro`",
        ),
        "normalized frames that are not finite": (
            lambda: array(NORMALIZED / "train.npy", put((2, 3), np.nan)),
            "the normalized frames hold NaN, infinity or huge numbers; delete "
            "data/normalized and run `dvc repro`",
        ),
        "an index of another k": (
            lambda: set_params({"data": {"k": 3}}),
            "the context index was made for other utterances, data.k or data.padding; "
            "run `dvc repro`, or the stages from context on",
        ),
        "an index of another padding": (
            lambda: set_params({"data": {"padding": "edge"}}),
            "the context index was made for other utterances, data.k or data.padding; "
            "run `dvc repro`, or the stages from context on",
        ),
        "an index without frames": (
            lambda: array(INDEX, lambda a: a[:0]),
            "data/normalized/dev.npy holds float32 of shape (11, 40); expected floats "
            "of shape (0, any), as the other files say; delete it and run `dvc repro`",
        ),
        "an index and frames without frames": (
            lambda: [array(path, lambda a: a[:0]) for path in (INDEX, DEV)],
            "data/corpus/labels/dev.npy holds int16 of shape (11,); expected integers "
            "of shape (0), as the other files say; delete it and run `dvc repro`",
        ),
        "an index of floats": (
            lambda: array(INDEX, lambda a: a + 0.5),
            "data/context/dev.npy holds float64 of shape (11,); expected integers of "
            "shape (any), as the other files say; delete it and run `dvc repro`",
        ),
        "an index that starts elsewhere": (
            lambda: array(INDEX, lambda a: a - 100),
            "the context index was made for other utterances, data.k or data.padding; "
            "run `dvc repro`, or the stages from context on",
        ),
        "missing labels of dev": (
            lambda: (CORPUS / "labels/dev.npy").unlink(),
            "data/corpus/labels/dev.npy is missing; run `dvc repro` to make it",
        ),
        "fewer labels than frames": (
            lambda: array(LABELS, lambda a: a[:-1]),
            "data/corpus/labels/train.npy holds int16 of shape (17,); expected integers"
            " of shape (18), as the other files say; delete it and run `dvc repro`",
        ),
        "more labels than frames": (
            lambda: array(LABELS, lambda a: np.append(a, a)),
            "data/corpus/labels/train.npy holds int16 of shape (36,); expected integers"
            " of shape (18), as the other files say; delete it and run `dvc repro`",
        ),
        "a label out of the inventory": (
            lambda: array(LABELS, put(3, 71)),
            "data/corpus/labels/train.npy: frame 3 has label 71; expected 0 to 70; it "
            "belongs to another corpus: delete it and run `dvc repro`",
        ),
        "a label below 0": (
            lambda: array(LABELS, put(3, -100)),
            "data/corpus/labels/train.npy: frame 3 has label -100; expected 0 to 70; it"
            " belongs to another corpus: delete it and run `dvc repro`",
        ),
        "labels of floats": (
            lambda: array(LABELS, lambda a: a + 0.5),
            "data/corpus/labels/train.npy holds float64 of shape (18,); expected "
            "integers of shape (18), as the other files say; delete it and run `dvc "
            "repro`",
        ),
        "a missing inventory": (
            lambda: (CORPUS / "phonemes.txt").unlink(),
            "cannot read data/corpus/phonemes.txt (...); run `dvc repro` to make it",
        ),
        "a shorter inventory": (
            lambda: (CORPUS / "phonemes.txt").write_text("SIL\nAA0\n"),
            "data/corpus/labels/train.npy: frame 0 has label 70; expected 0 to 1; it "
            "belongs to another corpus: delete it and run `dvc repro`",
        ),
        "one frame and batch normalization": (
            lambda: [
                array(path, lambda a: a[:1])
                for path in (LABELS, NORMALIZED / "train.npy", CONTEXT / "train.npy")
            ],
            "the training set has one frame and batch normalization needs two; set "
            "model.norm to layer or none",
        ),
        "batches of 1 and batch normalization": (
            lambda: set_params({"train": {"batch_size": 1}}),
            "params.yaml has 1 problem:...train.batch_size is 1; batch normalization "
            "needs at least 2 frames: raise it or set model.norm to layer or none",
        ),
        "a device that is not there": (
            lambda: set_params({"runtime": {"device": "mps"}}),
            "runtime.device is mps, which this machine lacks; set it to auto",
        ),
    },
    "evaluate": {
        "a missing model": (
            lambda: MODEL.unlink(),
            f"{MODEL} is missing; run `dvc repro` to make it",
        ),
        "a truncated model": (lambda: cut(MODEL), DAMAGED),
        "a model of zero bytes": (lambda: MODEL.write_bytes(b""), DAMAGED),
        "a model that runs a program": (lambda: hostile(MODEL), DAMAGED),
        "a model that runs a program as torch writes it": (
            lambda: torch.save({"architecture": Exploit()}, MODEL),
            DAMAGED,
        ),
        "a pipe for the model": (lambda: (MODEL.unlink(), os.mkfifo(MODEL)), DAMAGED),
        "a model that deflates to gigabytes": (lambda: inflating(MODEL), DAMAGED),
        "a model with an edited weight": (
            lambda: MODEL.write_bytes(MODEL.read_bytes()[:-1] + b"a"),
            f"{MODEL} is damaged: its checksum is another: it was edited, or changed on the disk; "
            + MADE_ANEW,
        ),
        "a model of another k": (
            lambda: (set_params({"data": {"k": 0}}), np_context()),
            f"{MADE_FOR} data.k is 2 there and 0 here{TRAIN_ANEW}",
        ),
        "a model of another normalization": (
            lambda: NORMALIZATION.write_text(NORMALIZATION.read_text().replace("true", "false")),
            f"{MADE_FOR} normalize.variance is True there and False here{TRAIN_ANEW}",
        ),
        "a model of other phonemes": (
            lambda: (CORPUS / "phonemes.txt").write_text("\n".join(["X", *NAMES[1:]])),
            f"{MADE_FOR} the phoneme of label 0 is SIL there and X here{TRAIN_ANEW}",
        ),
        "a model of other classes": (
            lambda: (CORPUS / "phonemes.txt").write_text("\n".join(NAMES[:40])),
            "data/corpus/spelling.txt spells 71 phonemes; expected integers or text, and then "
            "40, as the other files say; delete it and run `dvc repro`",
        ),
        "a model of another program": (
            lambda: save_file({"weight": torch.ones(2)}, MODEL),
            f"{MODEL} is damaged: it was written by another program; {MADE_ANEW}",
        ),
        "a model without its facts": (
            lambda: model(lambda tensors, description: description.pop("facts")),
            NO_MODEL,
        ),
        "a model with NaN weights": (
            lambda: model(lambda tensors, description: tensors["base.0.0.weight"].fill_(np.nan)),
            f"{MODEL} holds NaN or infinity; delete it and run `dvc repro`",
        ),
        "a model of another architecture": (
            lambda: model(lambda tensors, description: description["base"][0].update(hidden=[5])),
            NO_MODEL,
        ),
        "a model with an unknown activation": (
            lambda: model(
                lambda tensors, description: description["base"][0].update(activation="swish")
            ),
            NO_MODEL,
        ),
        "labels of another corpus": (
            lambda: array(CORPUS / "labels/dev.npy", lambda a: a[1:]),
            "data/corpus/labels/dev.npy holds int16 of shape (10,); expected integers "
            "of shape (11), as the other files say; delete it and run `dvc repro`",
        ),
    },
    "predict": {
        "a description without the header": (
            lambda: DESCRIPTION.write_text('{"source": "arrays", "features": null}'),
            f"data/corpus/description.json is damaged (no header); {MADE_ANEW}",
        ),
        "missing test frames": (
            lambda: (NORMALIZED / "test.npy").unlink(),
            "data/normalized/test.npy is missing; run `dvc repro` to make it",
        ),
        "test frames of other bands": (
            lambda: array(NORMALIZED / "test.npy", lambda a: a[:, :-1]),
            "data/normalized/statistics.npy holds float64 of shape (2, 40); expected floats of "
            "shape (2, 39), as the frames have; delete data/normalized and run `dvc repro`",
        ),
        "phonemes in another order": (
            lambda: reordered(CORPUS / "phonemes.txt"),
            f"{MADE_FOR} the phoneme of label 0 is SIL there and ... here{TRAIN_ANEW}",
        ),
        "fewer phonemes than the model has": (
            lambda: (
                (CORPUS / "phonemes.txt").write_text("SIL\n"),
                set_params({"predict": {"label": "phoneme"}}),
            ),
            "data/corpus/spelling.txt spells 71 phonemes; expected integers or text, and then 1, "
            "as the other files say; delete it and run `dvc repro`",
        ),
    },
}


def np_context() -> None:
    for split, lengths in LENGTHS.items():
        np.save(CONTEXT / f"{split}.npy", np.arange(sum(lengths), dtype=np.int32))


params_kinds = {
    "no params.yaml": (lambda: Path("params.yaml").unlink(), "cannot read params.yaml: ..."),
    "params.yaml of zero bytes": (
        lambda: Path("params.yaml").write_bytes(b""),
        "params.yaml has 1 problem:...params.yaml is None; expected keys and values",
    ),
    "params.yaml that is no YAML": (
        lambda: Path("params.yaml").write_text("a: [1\nb: }"),
        "params.yaml is not YAML: ...line 2, column 2...",
    ),
    "params.yaml in another encoding": (
        lambda: Path("params.yaml").write_bytes(b"corpus: \xff"),
        "cannot read params.yaml: ...",
    ),
    "an unknown key": (
        lambda: set_params({"train": {"epoch": 3}}),
        "params.yaml has 1 problem:...train.epoch is not a parameter; did you mean epochs?",
    ),
    "a value out of range": (
        lambda: set_params({"data": {"k": -1}}),
        "params.yaml has 1 problem:...data.k is -1; expected a whole number from 0 to 1,000",
    ),
    "text for a number": (
        lambda: set_params({"train": {"lr": "fast"}}),
        "params.yaml has 1 problem:...train.lr is 'fast'; expected a number above 0 to 100",
    ),
    "an unknown choice": (
        lambda: set_params({"train": {"optimizer": "adamax"}}),
        "params.yaml has 1 problem:...train.optimizer is 'adamax'; expected one of"
        " sgd, adam, adamw",
    ),
}

libriphone_kinds = {
    "a missing tensor": (
        lambda: PT0.unlink(),
        "data/raw/mine/train_split.txt, line 1: data/raw/mine/feat/train has no '0-train-0'.pt; "
        "add the file or remove the line",
    ),
    "a pickle that runs a command": (
        lambda: torch.save(Exploit(), PT0),
        f"{PT0}: names 'posix.system', which is no part of a tensor of floats: loading it could "
        "run code, so it is refused; get the file from a source you trust",
    ),
    "a tensor that inflates": (
        lambda: inflating(PT0),
        f"{PT0}: holds 'a/data.pkl' compressed, 10,000,002 bytes of a file of ...; torch.save does "
        "not compress: write it with torch.save",
    ),
    "a tensor cut short": (lambda: cut(PT0), f"{PT0}: is damaged (BadZipFile: ...); copy or ..."),
    "a tensor of integers": (
        lambda: torch.save(torch.ones(7, BANDS, dtype=torch.int64), PT0),
        f"{PT0}: holds values of torch.LongStorage; expected floats: save tensor.float()",
    ),
    "a few values that stand for many": (
        lambda: torch.save(torch.ones(1, BANDS).expand(10**8, BANDS), PT0),
        f"{PT0}: declares shape (100000000, 40) with strides (0, 1), but its storage has 40 "
        "values; save tensor.contiguous()",
    ),
    "a label beyond the classes": (
        lambda: replace(RAW / "train_labels.txt", " 2", " 41"),
        "data/raw/mine/feat/train/...: frame ... has label 41...; expected 0 to 40; correct it, or "
        "list all phonemes",
    ),
    "no speaker for train": (
        lambda: set_params({"corpus": {"arrays": {"dev_share": 1}}}),
        "corpus.arrays.dev_share leaves train no speaker: dev takes 3 of 3 in "
        "data/raw/mine/train_split.txt; add speakers or lower it",
    ),
}

KINDS = [
    Kind(name, project, stage, spoil, message)
    for project, stage, kinds in [
        ("flat", "corpus", flat_kinds),
        ("tree", "corpus", tree_kinds),
        ("libriphone", "corpus", libriphone_kinds),
        ("audio", "corpus", audio_kinds),
        ("listed", "corpus", listed_kinds),
        ("timit", "corpus", timit_kinds),
        ("arctic", "corpus", arctic_kinds),
        ("flat", "corpus", params_kinds),
        *[("flat", stage, kinds) for stage, kinds in later_kinds.items()],
    ]
    for name, (spoil, message) in kinds.items()
]
