"""The files of every edition are read as they are: each frame and label, in order."""

import os
import re
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from helpers import ragged
from hypothesis import given, settings
from hypothesis import strategies as st

from phonemes.corpus.arrays.source import open_source
from phonemes.corpus.pack import write_corpus
from phonemes.corpus.params import ArraysParams
from phonemes.corpus.source import Utterance
from phonemes.errors import InputError
from phonemes.inventory import default_inventory
from phonemes.storage.layout import SPLITS
from phonemes.storage.read import read_phonemes, read_spelling

ARRAYS = ArraysParams(dev_share=0.1, seed=1)


class Corpus(NamedTuple):
    """What a test writes as an edition, and expects back."""

    phonemes: tuple[str, ...]
    splits: dict[str, list[Utterance]]


def make_corpus(
    classes=71,
    lengths=((2, 3), (4,), (2, 1)),
    bands=3,
    frames="<f4",
    labels="<i8",
    order="C",
    seed=0,
):
    """Return a corpus of noise with as many utterances a split as it has lengths."""
    rng = np.random.default_rng(seed)
    splits = {}
    for split, sizes in zip(SPLITS, lengths, strict=True):
        splits[split] = [
            Utterance(
                f"{split}-{number:05d}",
                "",
                rng.normal(size=(size, bands)).astype(frames, order=order),
                rng.integers(0, min(classes, 127), size).astype(labels),
            )
            for number, size in enumerate(sizes)
        ]
    # the number of classes shows in the last one and, where labels are text, in a vowel
    splits["train"][0].labels[:2] = classes - 1, 2
    return Corpus(default_inventory(classes), splits)


LENGTHS = st.lists(st.integers(2, 9), min_size=1, max_size=4)
CORPORA = st.builds(
    make_corpus,
    classes=st.sampled_from([40, 71, 138, 346]),
    lengths=st.tuples(LENGTHS, LENGTHS, LENGTHS),
    bands=st.sampled_from([13, 15, 27, 28, 40]),
    frames=st.sampled_from(["<f4", "<f8", ">f4"]),
    labels=st.sampled_from(["<i2", "<u2", "<i4", ">i8"]),
    order=st.sampled_from("CF"),
    seed=st.integers(0, 2**32 - 1),
)


def write_flat(folder, corpus, dev="dev", pack=ragged):
    """Write a corpus as the files of S18 to F21, test without labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in (("train", "train"), ("dev", dev), ("test", "test")):
        utterances = corpus.splits[split]
        np.save(folder / f"{name}.npy", pack([item.frames for item in utterances]))
        if split != "test":
            np.save(folder / f"{name}_labels.npy", pack([item.labels for item in utterances]))


def write_tree(folder, corpus, marks=("<sos>", "<eos>"), silence="SIL", kind="U"):
    """Write a corpus as the files of S22 to S26; return it with the names given to the files.

    Every other utterance of train goes to train-clean-360.
    """
    renamed = {}
    for split, subsets in (
        ("train", ("train-clean-100", "train-clean-360")),
        ("dev", ("dev-clean",)),
        ("test", ("test-clean",)),
    ):
        renamed[split] = []
        for part, subset in enumerate(subsets):
            (folder / subset / "mfcc").mkdir(parents=True)
            if split != "test":
                (folder / subset / "transcript").mkdir()
            for number, item in enumerate(corpus.splits[split][part :: len(subsets)]):
                name = f"{split}{part}{number}-12-0000"
                np.save(folder / subset / "mfcc" / f"{name}.npy", item.frames)
                if split != "test":
                    names = [corpus.phonemes[label] for label in item.labels]
                    names = [silence if name == "SIL" else name for name in names]
                    names = [*marks[:1], *names, *marks[1:]]
                    np.save(folder / subset / "transcript" / f"{name}.npy", np.array(names, kind))
                renamed[split].append(item._replace(name=name, speaker=name.split("-")[0]))
    return corpus._replace(splits=renamed)


def assert_opens_as(folder, corpus, test_labels=False):
    source = open_source(folder, ARRAYS)
    assert source.phonemes == corpus.phonemes
    assert list(source.splits) == list(SPLITS)
    for split, expected in corpus.splits.items():
        found = list(source.splits[split]())
        assert [item[:2] for item in found] == [item[:2] for item in expected]
        for item, wanted in zip(found, expected, strict=True):
            assert np.array_equal(item.frames, wanted.frames)
            assert item.frames.dtype == wanted.frames.dtype
            if split == "test" and not test_labels:
                assert item.labels is None
            else:
                assert np.array_equal(item.labels, wanted.labels)


@pytest.fixture
def corpus():
    return make_corpus()


# What each edition holds comes back


@given(corpus=CORPORA)
@settings(max_examples=20)
def test_s18_to_f21_object_arrays_of_utterances_come_back(corpus):
    with TemporaryDirectory() as folder:
        write_flat(Path(folder), corpus)
        assert_opens_as(Path(folder), corpus)


@given(corpus=CORPORA, in_order=st.booleans())
@settings(max_examples=20)
def test_emeritus_comes_back_with_its_phonemes_and_the_test_labels_of_its_csv(corpus, in_order):
    named = corpus._replace(phonemes=tuple(f"<{name}>" for name in corpus.phonemes))
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_flat(folder, corpus, dev="val")
        lines = [name if in_order else f"{name} {n}" for n, name in enumerate(named.phonemes)]
        (folder / "phonemes.txt").write_text("\n".join(lines))
        labels = np.concatenate([item.labels for item in corpus.splits["test"]])
        rows = "".join(f"{n},{label}\n" for n, label in enumerate(labels))
        (folder / "phoneme_labels_for_test_data.csv").write_text(f"id,label\n{rows}")
        assert_opens_as(folder, named, test_labels=True)


@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.tuples(*[st.integers(1, 4)] * 3),
    size=st.integers(2, 9),
)
@settings(max_examples=20)
def test_utterances_of_equal_length_in_one_array_come_back(seed, counts, size):
    corpus = make_corpus(lengths=[[size] * count for count in counts], seed=seed)
    with TemporaryDirectory() as name:
        write_flat(Path(name), corpus, pack=np.array)
        assert np.load(Path(name) / "train.npy").ndim == 3
        assert_opens_as(Path(name), corpus)


@given(
    corpus=CORPORA.filter(lambda corpus: "SIL" in corpus.phonemes),
    marks=st.sampled_from([("<sos>", "<eos>"), ("[SOS]", "[EOS]"), ()]),
    silence=st.sampled_from(["SIL", "[SIL]"]),
    kind=st.sampled_from(["U", "S", "O", "<U6", ">U8"]),
    nested=st.sampled_from([".", "hw1p2", "11-785-f23-hw1p2/11-785-f23-hw1p2"]),
)
@settings(max_examples=20)
def test_s22_to_s26_trees_of_phonemes_come_back(corpus, marks, silence, kind, nested):
    with TemporaryDirectory() as name:
        expected = write_tree(Path(name) / nested, corpus, marks, silence, kind)
        assert_opens_as(Path(name), expected)


@pytest.mark.parametrize("place", [".", "course/test-clean", "course"])
@pytest.mark.parametrize("suffix", [".npy", ""])
def test_s22_test_files_come_in_the_order_of_test_order_csv(corpus, tmp_path, place, suffix):
    expected = write_tree(tmp_path / "course", corpus)
    expected.splits["test"].reverse()
    rows = "".join(f"{item.name}{suffix},x\n" for item in expected.splits["test"])
    (tmp_path / place / "test_order.csv").write_text(f"file,more\n{rows}")
    assert_opens_as(tmp_path, expected)


@pytest.mark.parametrize("place", ["raw", "raw/2023", "raw/2023/course"])
def test_lists_may_lie_in_any_folder_between_the_path_and_the_course(corpus, tmp_path, place):
    expected = write_tree(tmp_path / "raw/2023/course", corpus)
    expected.splits["test"].reverse()
    rows = "".join(f"{item.name}\n" for item in expected.splits["test"])
    (tmp_path / place / "test_order.csv").write_text(f"file\n{rows}")
    (tmp_path / place / "phonemes.txt").write_text("\n".join(corpus.phonemes))
    assert_opens_as(tmp_path / "raw", expected)


def test_lists_above_the_path_are_not_read(corpus, tmp_path):
    expected = write_tree(tmp_path / "raw", corpus)
    (tmp_path / "test_order.csv").write_text("file\nabsent\n")
    (tmp_path / "phonemes.txt").write_text("absent\n")
    assert_opens_as(tmp_path / "raw", expected)


def test_test_labels_are_taken_where_there_are_any(corpus, tmp_path):
    write_flat(tmp_path / "flat", corpus)
    labels = [item.labels for item in corpus.splits["test"]]
    np.save(tmp_path / "flat/test_labels.npy", ragged(labels))
    assert_opens_as(tmp_path / "flat", corpus, test_labels=True)

    expected = write_tree(tmp_path / "tree", corpus)
    (tmp_path / "tree/test-clean/transcript").mkdir()
    for item in expected.splits["test"]:
        names = np.array([corpus.phonemes[label] for label in item.labels])
        np.save(tmp_path / f"tree/test-clean/transcript/{item.name}.npy", names)
    assert_opens_as(tmp_path / "tree", expected, test_labels=True)


def test_flat_labels_may_be_phonemes_too(corpus, tmp_path):
    write_flat(tmp_path, corpus)
    for split in ("train", "dev"):
        names = [np.array(corpus.phonemes)[item.labels] for item in corpus.splits[split]]
        np.save(tmp_path / f"{split}_labels.npy", ragged(names))
    assert_opens_as(tmp_path, corpus)


def test_a_tree_may_hold_indices(corpus, tmp_path):
    expected = write_tree(tmp_path, corpus)
    for split, subset in (("train", "train-clean-*"), ("dev", "dev-clean")):
        labels = {item.name: item.labels for item in expected.splits[split]}
        for file in tmp_path.glob(f"{subset}/transcript/*.npy"):
            np.save(file, labels[file.stem])
    assert_opens_as(tmp_path, expected)


def test_files_without_a_speaker_in_their_name_have_none(corpus, tmp_path):
    write_tree(tmp_path, corpus)
    for file in tmp_path.glob("*/*/*.npy"):
        file.rename(file.with_name(file.name.replace("-", "_")))
    assert {item.speaker for item in open_source(tmp_path, ARRAYS).splits["train"]()} == {""}


def test_what_macos_adds_to_archives_is_passed_over(corpus, tmp_path):
    expected = write_tree(tmp_path / "course", corpus)
    (tmp_path / "__MACOSX/train-clean-100").mkdir(parents=True)
    (tmp_path / "course/dev-clean/mfcc/._dev00-12-0000.npy").write_bytes(b"\0")
    assert_opens_as(tmp_path, expected)


def test_the_corpus_is_packed_from_it(corpus, tmp_path):
    write_flat(tmp_path / "raw", corpus)
    summaries = write_corpus(open_source(tmp_path / "raw", ARRAYS), tmp_path / "packed")
    assert {split: summary[:2] for split, summary in summaries.items()} == {
        "train": (2, 5),
        "dev": (1, 4),
        "test": (2, 3),
    }


# The inventory, and how it is spelled


@pytest.mark.parametrize("silence", ["SIL", "[SIL]", "sil"])
def test_the_spelling_of_the_transcripts_comes_back_once_they_are_read(tmp_path, silence):
    corpus = make_corpus(classes=40)
    corpus.splits["train"][0].labels[-1] = 0
    write_tree(tmp_path / "raw", corpus, silence=silence)
    write_corpus(open_source(tmp_path / "raw", ARRAYS), tmp_path / "packed")
    assert read_phonemes(tmp_path / "packed") == corpus.phonemes
    assert read_spelling(tmp_path / "packed", 40) == (True, (silence, *corpus.phonemes[1:]))


def test_integers_and_the_spelling_of_phonemes_txt_come_back(corpus, tmp_path):
    write_flat(tmp_path / "raw", corpus)
    spelled = ("[SIL]", *map(str.lower, corpus.phonemes[1:]))
    (tmp_path / "raw/phonemes.txt").write_text("\n".join(spelled))
    write_corpus(open_source(tmp_path / "raw", ARRAYS), tmp_path / "packed")
    assert read_phonemes(tmp_path / "packed") == corpus.phonemes
    assert read_spelling(tmp_path / "packed", 71) == (False, spelled)


def test_two_spellings_are_reported(tmp_path):
    corpus = make_corpus(classes=40)
    corpus.splits["train"][0].labels[-1] = 0
    write_tree(tmp_path / "raw", corpus)
    names = np.array(["<sos>", "[SIL]", "[SIL]", "[SIL]", "[SIL]", "<eos>"])
    np.save(tmp_path / "raw/dev-clean/transcript/dev00-12-0000.npy", names)
    source = open_source(tmp_path / "raw", ARRAYS)
    write_corpus(source, tmp_path / "packed")
    (note,) = source.notes()
    assert note.startswith("labels spell SIL in 2 ways: '[SIL]' (4), 'SIL' (")


@pytest.mark.parametrize("split", ["train", "dev"])
def test_the_inventory_comes_from_the_labels_of_train_and_dev(tmp_path, split):
    corpus = make_corpus(classes=3)
    corpus.splits[split][0].labels[0] = 71
    write_flat(tmp_path, corpus)
    assert open_source(tmp_path, ARRAYS).phonemes == default_inventory(138)


# What is refused, and how


def refuses(path, *words):
    """Expect an InputError that holds `words`, in this order, on opening or reading `path`."""
    with pytest.raises(InputError, match=".*".join(map(re.escape, map(str, words)))):
        write_corpus(open_source(path, ARRAYS), path.parent / "packed")


@pytest.fixture
def flat(corpus, tmp_path):
    write_flat(tmp_path / "flat", corpus)
    return tmp_path / "flat"


@pytest.fixture
def tree(corpus, tmp_path):
    write_tree(tmp_path / "tree", corpus)
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("edition", "first", "second"),
    [
        ("flat", "dev.npy", "val.npy"),
        ("flat", "dev_labels.npy", "val_labels.npy"),
        ("flat", "test_labels.npy", "phoneme_labels_for_test_data.csv"),
        ("flat", "train.npy", "train-clean-360"),
        ("flat", "train.npy", "train_split.txt"),
        ("tree", "train-clean-100", "train_split.txt"),
        ("tree", "test-clean/test_order.csv", "test_order.csv"),
    ],
)
def test_two_files_for_one_thing_are_both_named(flat, tree, edition, first, second):
    folder = flat.parent / edition
    for name in (first, second):
        if not (folder / name).exists():
            (folder / name).touch()
    refuses(folder, f"{folder / first} and ", f"{second}", "are both there; remove one")


@pytest.mark.parametrize(
    ("edition", "name"),
    [
        ("flat", "train.npy"),
        ("flat", "phonemes.txt"),
        ("flat", "phoneme_labels_for_test_data.csv"),
        ("tree", "test_order.csv"),
        ("tree", "dev-clean/transcript/dev00-12-0000.npy"),
    ],
)
def test_a_pipe_is_refused_and_not_waited_for(flat, tree, edition, name):
    path = flat.parent / edition / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    refuses(flat.parent / edition, f"{path} is not a file; put ")


# Names in Unicode


def renamed(folder, form):
    """Give the files of a folder an accent in their names, in a form of Unicode."""
    for file in [*folder.glob("*.npy")]:
        file.rename(file.with_name(unicodedata.normalize(form, f"é{file.name}")))


@pytest.mark.parametrize("forms", [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_files_belong_together_in_either_form_of_unicode(corpus, tmp_path, forms):
    expected = write_tree(tmp_path, corpus)
    for subset in tmp_path.iterdir():
        for kind, form in zip(("mfcc", "transcript"), forms, strict=True):
            renamed(subset / kind, form)
    for split, items in expected.splits.items():
        named = [item._replace(name=f"é{item.name}", speaker=f"é{item.speaker}") for item in items]
        expected.splits[split] = named
    expected.splits["test"].reverse()
    rows = "".join(f"{unicodedata.normalize(forms[1], i.name)}\n" for i in expected.splits["test"])
    (tmp_path / "test_order.csv").write_text(f"file\n{rows}", "utf-8")
    assert_opens_as(tmp_path, expected)


def test_one_name_in_both_forms_of_unicode_is_refused(tree):
    for form in ("NFC", "NFD"):
        (tree / "dev-clean/mfcc" / unicodedata.normalize(form, "é-1-1.npy")).touch()
    refuses(tree, "are one name in two forms; keep one")


# What DVC does not see


@pytest.mark.parametrize(
    ("edition", "pattern"),
    [
        ("flat", "dev.npy"),
        ("flat", "*_labels.npy"),
        ("tree", "transcript/"),
        ("tree", "phonemes.txt"),
        ("tree", "test_order.csv"),
    ],
)
def test_files_that_dvc_ignores_are_refused(flat, tree, edition, pattern, monkeypatch):
    folder = flat.parent / edition
    if pattern.endswith((".txt", ".csv")):
        (tree / pattern).touch()
    monkeypatch.chdir(flat.parent)
    (flat.parent / ".dvcignore").write_text(pattern)
    refuses(folder, "is ignored by .dvcignore, so that DVC would not see it change; remove")


@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\x1b", "\x85", "\u2028"])
def test_a_control_character_in_a_file_name_is_refused_before_any_frame_is_read(tree, character):
    file = tree / "dev-clean/mfcc/dev00-12-0000.npy"
    file.rename(file.with_name(f"dev{character}.npy"))
    with pytest.raises(InputError, match=r"has the control character .*; rename it") as refused:
        open_source(tree, ARRAYS)
    assert len(str(refused.value).splitlines()) == 1


def test_a_path_that_is_no_folder_is_refused(flat):
    refuses(flat / "absent", "absent is not a folder; give the one with the course's files")
    refuses(flat / "dev.npy", "dev.npy is not a folder")


def test_a_folder_without_the_course_is_refused_with_what_it_holds(tmp_path):
    (tmp_path / "raw").mkdir()
    refuses(
        tmp_path / "raw",
        "hold no train.npy or train-clean-100 or train-clean-360 or train_split.txt",
        "holds nothing",
    )
    (tmp_path / "raw/train.npy.zip").touch()
    refuses(tmp_path / "raw", "holds train.npy.zip: unpack archives")


def test_a_folder_with_two_courses_is_refused(corpus, tmp_path):
    write_flat(tmp_path / "raw/f20", corpus)
    write_flat(tmp_path / "raw/f21", corpus)
    refuses(tmp_path / "raw", "f20 and ", "f21 both hold train data; give one of them")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dev.npy", "dev.npy or val.npy"),
        ("test.npy", "test.npy"),
        ("train_labels.npy", "train_labels.npy"),
        ("dev_labels.npy", "dev_labels.npy or val_labels.npy"),
    ],
)
def test_a_missing_file_is_named_with_those_that_are_there(flat, name, wanted):
    (flat / name).unlink()
    others = sorted(path.name for path in flat.iterdir())
    refuses(flat, f"{flat} has no {wanted}; it holds {', '.join(others)}")


@pytest.mark.parametrize(
    "name", ["train-clean-100/transcript", "dev-clean/mfcc", "test-clean/mfcc"]
)
def test_a_missing_folder_is_named(tree, name):
    (tree / name).rename(tree / "elsewhere")
    refuses(tree, f"{tree} has no {name}; it holds ")


def test_a_long_listing_is_cut(flat):
    for number in range(20):
        (flat / f"a{number:02d}").touch()
    (flat / "test.npy").unlink()
    refuses(flat, "it holds a00, a01, ", "a09, ...")


def test_other_numbers_of_utterances_and_labels_are_both_named(flat):
    np.save(flat / "train_labels.npy", ragged([np.zeros(2, int)]))
    refuses(flat, "train.npy has 2 utterances, ", "train_labels.npy has 1; take both from one")


def test_a_split_that_is_a_copy_of_another_is_refused(flat):
    (flat / "test.npy").write_bytes((flat / "dev.npy").read_bytes())
    refuses(flat, "test.npy is a copy of ", "dev.npy, so scores of test would not be those of data")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array(3), "train.npy: holds a single value; expected an array of utterances"),
        (np.ones(3), "utterance 0 is a float64; expected an array"),
        (np.array(["AA"]), "utterance 0 is a str_; expected an array"),
        (ragged([np.ones((2, 3)), 4]), "utterance 1 is a int; expected an array"),
        (ragged([np.ones((2, 3)), [[1.0]]]), "element 1 is a list; expected an array"),
        (ragged([{1: 2}]), "train.npy: holds the pickle instruction EMPTY_DICT"),
        (ragged([os.system]), "train.npy: names 'posix.system'"),
        (np.ones((2, 3)), "train-00000: frames are float64 of shape (3,); expected floats (T, C)"),
        (ragged([np.ones((3, 2)), np.ones((1, 3))]), "3 frames but 2 labels"),
    ],
)
def test_what_is_no_array_of_utterances_is_refused(flat, content, message):
    np.save(flat / "train.npy", content)
    refuses(flat, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n0,1\n1,2\n", "has 2 rows, the utterances have 3 frames; take both from"),
        ("id,target\n0,1\n", "cannot be read: it has 0 columns named 'label'"),
        ("", "cannot be read: it has no columns"),
        ("label\n1.5\n2\n3\n", "labels are float64"),
        ("label\nAA\nB\nCH\n", "utterance 0, frame 0: unknown phoneme 'AA'; did you mean"),
        ("label\n1\n2\n71\n", "has label 71; expected 0 to 70"),
    ],
)
def test_test_labels_that_do_not_fit_are_refused(flat, text, message):
    (flat / "phoneme_labels_for_test_data.csv").write_text(text)
    refuses(flat, message)


def test_an_unknown_phoneme_is_named_with_its_file(tree):
    names = np.array(["<sos>", "AA0", "SIL", "SILL", "<eos>"])
    np.save(tree / "dev-clean/transcript/dev00-12-0000.npy", names)
    refuses(tree, "dev00-12-0000.npy, frame 2: unknown phoneme 'SILL'; did you mean SIL?")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["<sos>", "B", "B", "<eos>"], 2),
        (["B", "B", "B", "B", "B", "B"], 6),
        (["<sos>", "B", "<eos>"], 1),
        ([], 0),
    ],
)
def test_a_transcript_of_another_length_is_refused_with_both_lengths(tree, names, labels):
    np.save(tree / "dev-clean/transcript/dev00-12-0000.npy", np.array(names, "U5"))
    refuses(tree, f"dev utterance dev00-12-0000: 4 frames but {labels} labels")


def test_objects_in_a_transcript_that_are_no_text_are_refused(tree):
    names = ragged(["B", "B", np.zeros(2), "B"])
    np.save(tree / "dev-clean/transcript/dev00-12-0000.npy", names)
    refuses(tree, "labels are object of shape (4,); expected integers (T,)")


def test_features_without_a_transcript_are_named_and_the_reverse(tree):
    (tree / "dev-clean/transcript/dev00-12-0000.npy").rename(tree / "dev-clean/transcript/b.npy")
    (tree / "dev-clean/transcript/c.npy").touch()
    refuses(tree, "transcript/dev00-12-0000.npy is missing; every mfcc file needs a transcript")
    (tree / "dev-clean/mfcc/dev00-12-0000.npy").unlink()
    refuses(tree, "b.npy and 1 more are without a file of the same name in mfcc")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.npy", "row 1: there is no 'absent.npy' in test-clean/mfcc"),
        ("../../secret.npy", "row 1: there is no '../../secret.npy'"),
        ("../mfcc/test00-12-0000.npy", "row 1: there is no '../mfcc"),
        ("/etc/passwd", "row 1: there is no '/etc/passwd'"),
        ("test00-12-0000.npy", "row 1: 'test00-12-0000.npy' is listed twice; remove one"),
        ("", "row 1: there is no ''"),
    ],
)
def test_an_order_of_other_files_is_refused(tree, name, message):
    np.save(tree.parent / "secret.npy", np.ones((2, 3)))
    (tree / "test_order.csv").write_text(f"file,id\ntest00-12-0000.npy,0\n{name},1\n")
    refuses(tree, message)


@pytest.mark.parametrize(
    ("edition", "name"),
    [
        ("flat", "train.npy"),
        ("flat", "train_labels.npy"),
        ("flat", "phonemes.txt"),
        ("flat", "phoneme_labels_for_test_data.csv"),
        ("tree", "dev-clean"),
        ("tree", "dev-clean/mfcc"),
        ("tree", "dev-clean/mfcc/dev00-12-0000.npy"),
        ("tree", "test_order.csv"),
    ],
)
def test_a_link_out_of_the_data_folder_is_refused(flat, tree, edition, name):
    path = flat.parent / edition / name
    outside = flat.parent / "outside"
    if path.exists():
        path.rename(outside)
    else:
        outside.write_text("SIL")
    path.symlink_to(outside)
    refuses(
        flat.parent / edition, f"{name}", "is a link out of", "put what it points to in its place"
    )


def test_links_within_the_data_folder_and_to_it_are_followed(flat, corpus):
    (flat / "train.npy").rename(flat / "features.npy")
    (flat / "train.npy").symlink_to("features.npy")
    (flat.parent / "link").symlink_to("flat")
    assert_opens_as(flat.parent / "link", corpus)


@pytest.mark.parametrize("name", ["dev-clean", "dev-clean/mfcc"])
def test_a_link_to_a_folder_is_refused_as_dvc_does_not_watch_it(tree, name):
    (tree / name).rename(tree / "elsewhere")
    (tree / name).symlink_to(tree / "elsewhere")
    refuses(tree, f"{tree / name} is a link to a folder, which DVC does not watch; put the folder")


def test_a_link_is_not_searched_for_the_course(flat):
    (flat.parent / "raw").mkdir()
    (flat.parent / "raw/link").symlink_to(flat)
    refuses(flat.parent / "raw", "hold no train.npy", "holds link")
