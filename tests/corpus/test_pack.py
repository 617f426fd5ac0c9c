"""What a source delivers comes back frame by frame, or the utterance that is wrong is named."""

import csv
import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonemes.corpus.pack import SplitSummary, write_corpus
from phonemes.corpus.source import Source, Utterance
from phonemes.errors import InputError
from phonemes.storage.layout import SPLITS, Spelling
from phonemes.storage.read import read_array, read_phonemes, read_spelling, read_utterances

PHONEMES = ("SIL", "AA", "B")
lengths_of_splits = st.fixed_dictionaries(
    {split: st.lists(st.integers(1, 5), min_size=1, max_size=5) for split in SPLITS}
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from('",'))


def utterance(name, length=2, bands=3, speaker="", labels=True):
    """Return an utterance without anything wrong."""
    frames = np.arange(length * bands, dtype=np.float32).reshape(length, bands)
    return Utterance(name, speaker, frames, np.arange(length) % 3 if labels else None)


def source(train=(), dev=(), test=()):
    """Return a source whose splits hold the utterances given, or one good one each."""
    given_or_good = {
        split: list(utterances) or [utterance(f"good-{split}")]
        for split, utterances in zip(SPLITS, (train, dev, test), strict=True)
    }
    return Source(PHONEMES, {split: items.__iter__ for split, items in given_or_good.items()})


def pack(folder, *, allow_shared_speakers=False, **utterances):
    return write_corpus(source(**utterances), folder, allow_shared_speakers=allow_shared_speakers)


def complaint(folder, **utterances):
    """Return the message that refuses the utterances of a split."""
    with pytest.raises(InputError) as refused:
        pack(folder, **utterances)
    return str(refused.value)


def unpacked(folder, split):
    """Return a split's utterances, out of the packed arrays."""
    frames = read_array(folder / f"frames/{split}.npy")
    lengths = read_array(folder / f"lengths/{split}.npy")
    cuts = np.cumsum(lengths)[:-1]
    if (folder / f"labels/{split}.npy").exists():
        labels = np.split(read_array(folder / f"labels/{split}.npy"), cuts)
    else:
        labels = [None] * len(lengths)
    rows = zip(read_utterances(folder, split), np.split(frames, cuts), labels, strict=True)
    return [Utterance(name, speaker, own, own_labels) for (name, speaker), own, own_labels in rows]


@given(lengths_of_splits, st.integers(1, 4), st.booleans(), st.sampled_from(["<f2", "<f4", "<f8"]))
def test_every_utterance_comes_back_in_order(tmp_path_factory, lengths, bands, labelled, dtype):
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    splits = {
        split: [
            Utterance(
                f"{split}-{number}",
                f"{split}-speaker-{number % 2}",
                random.normal(size=(length, bands)).astype(dtype),
                random.integers(0, 3, length) if labelled or split != "test" else None,
            )
            for number, length in enumerate(lengths[split])
        ]
        for split in SPLITS
    }
    summary = pack(folder, **splits)
    for split, utterances in splits.items():
        for expected, actual in zip(utterances, unpacked(folder, split), strict=True):
            assert actual[:2] == expected[:2]
            np.testing.assert_array_equal(actual.frames, expected.frames.astype(np.float32))
            np.testing.assert_array_equal(actual.labels, expected.labels)
        assert summary[split] == SplitSummary(
            utterances=len(utterances),
            frames=sum(lengths[split]),
            speakers=min(2, len(utterances)),
            bands=bands,
            labelled=labelled or split != "test",
        )


@given(st.lists(names, unique=True, min_size=1, max_size=5), st.lists(names, min_size=5))
def test_any_name_and_speaker_come_back_as_they_were(tmp_path_factory, names, speakers):
    folder = tmp_path_factory.mktemp("corpus")
    given = list(zip(names, speakers, strict=False))
    pack(
        folder,
        train=[utterance(name, speaker=speaker) for name, speaker in given],
        dev=[utterance("not" + "".join(names))],
        test=[utterance("nor" + "".join(names))],
    )
    assert read_utterances(folder, "train") == given


@pytest.mark.parametrize("name", ["007", "1e5", "NA", "null", "None", "True", "nan"])
def test_a_name_that_looks_like_something_else_stays_text(tmp_path, name):
    pack(tmp_path, train=[utterance(name, speaker=name)])
    assert read_utterances(tmp_path, "train") == [(name, name)]


def test_the_arrays_have_the_promised_types(tmp_path):
    pack(tmp_path, train=[utterance("a", speaker="s")])
    kinds = {
        kind: read_array(tmp_path / f"{kind}/train.npy").dtype
        for kind in ("frames", "lengths", "labels")
    }
    assert kinds == {"frames": np.float32, "lengths": np.int64, "labels": np.int16}


def test_nothing_on_disk_is_a_pickle(tmp_path):
    pack(tmp_path)
    for path in tmp_path.rglob("*.npy"):
        np.load(path, allow_pickle=False)
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads(path.read_bytes())


def test_text_files_are_the_same_bytes_on_every_machine(tmp_path):
    pack(tmp_path, train=[utterance("a", speaker="s"), utterance("b")])
    assert (tmp_path / "phonemes.txt").read_bytes() == b"SIL\nAA\nB\n"
    assert (tmp_path / "utterances/train.csv").read_bytes() == b"name,speaker\na,s\nb,\n"
    with (tmp_path / "utterances/train.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name", "speaker"], ["a", "s"], ["b", ""]]


@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\0", "\x7f", "\x85", "\u2028", "\udcff"])
@pytest.mark.parametrize("what", ["name", "speaker"])
def test_a_name_that_csv_cannot_hold_is_refused_in_one_line(tmp_path, what, character):
    item = utterance("a", speaker="s")._replace(**{what: f"b{character}c"})
    refusal = complaint(tmp_path, train=[item._replace(origin=f"data/b{character}c.wav")])
    shown = ascii(character)[1:-1]
    assert refusal.isascii() and len(refusal.splitlines()) == 1
    assert refusal.startswith(f"'data/b{shown}c.wav': its name ")
    assert refusal.endswith("; rename it")


def test_a_phoneme_that_a_line_cannot_hold_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'phoneme A\\x00': its name has the control character"):
        write_corpus(source()._replace(phonemes=("SIL", "A\0", "B")), tmp_path)


def test_a_source_that_says_nothing_else_gave_integers_and_the_phonemes_as_they_are(tmp_path):
    pack(tmp_path)
    assert read_spelling(tmp_path, 3) == (False, PHONEMES)
    assert (tmp_path / "spelling.txt").read_bytes() == b"integers\nSIL\nAA\nB\n"


def test_the_spelling_is_asked_for_when_all_is_read(tmp_path):
    read = []

    def utterances(split):
        read.append(split)
        yield utterance(split)

    splits = {split: partial(utterances, split) for split in SPLITS}

    def spelling():
        assert read == [*SPLITS]
        return Spelling(True, ("[SIL]", "aa", "b"))

    write_corpus(Source(PHONEMES, splits, spelling), tmp_path)
    assert read_spelling(tmp_path, 3) == (True, ("[SIL]", "aa", "b"))
    assert read_phonemes(tmp_path) == PHONEMES


def test_phonemes_come_back_in_label_order(tmp_path):
    pack(tmp_path)
    assert read_phonemes(tmp_path) == PHONEMES


def test_only_one_utterance_is_in_memory_at_a_time(tmp_path):
    opened = []

    def one_after_the_other():
        for number in range(3):
            written = [path.stat().st_size for path in tmp_path.glob("frames/train.npy")]
            opened.append(written)
            yield utterance(str(number), length=100_000)

    write_corpus(
        Source(PHONEMES, source().splits | {"train": one_after_the_other}),
        tmp_path,
    )
    assert opened[0] < opened[1] < opened[2]  # the file grows while the source is read


def test_a_split_without_any_speaker_counts_none(tmp_path):
    assert pack(tmp_path)["train"].speakers == 0


def test_a_test_split_without_labels_has_no_file_of_labels(tmp_path):
    summary = pack(tmp_path, test=[utterance("a", labels=False), utterance("b", labels=False)])
    assert not (tmp_path / "labels/test.npy").exists()
    assert [summary[split].labelled for split in SPLITS] == [True, True, False]


def test_every_label_up_to_the_last_is_accepted(tmp_path):
    pack(tmp_path, train=[utterance("a", length=3)._replace(labels=np.array([0, 1, 2], np.uint8))])
    assert read_array(tmp_path / "labels/train.npy").tolist() == [0, 1, 2]


def test_more_phonemes_than_labels_can_count_are_refused(tmp_path):
    phonemes = tuple(map(str, range(2**15 + 1)))
    last = np.array([0, 2**15 - 1])
    splits = source(train=[utterance("a")._replace(labels=last)]).splits
    with pytest.raises(InputError, match="has 32769 phonemes; expected at most 32768"):
        write_corpus(Source(phonemes, splits), tmp_path)
    write_corpus(Source(phonemes[:-1], splits), tmp_path)
    assert read_array(tmp_path / "labels/train.npy").tolist() == last.tolist()


@pytest.mark.parametrize("split", SPLITS)
def test_a_missing_split_is_named(tmp_path, split):
    splits = source().splits
    del splits[split]
    with pytest.raises(InputError, match=f"the corpus has no {split} split"):
        write_corpus(Source(PHONEMES, splits), tmp_path)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_without_utterances_is_named(tmp_path, split):
    splits = source().splits | {split: [].__iter__}
    with pytest.raises(InputError, match=f"the {split} split has no utterance; add some or check"):
        write_corpus(Source(PHONEMES, splits), tmp_path)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((2, 3), int), "frames are int64 of shape (2, 3); expected floats (T, C)"),
        (np.zeros(3), "frames are float64 of shape (3,); expected floats (T, C)"),
        (np.zeros((1, 2, 3)), "frames are float64 of shape (1, 2, 3); expected floats (T, C)"),
        (np.zeros((2, 3), complex), "frames are complex128 of shape (2, 3); expected floats"),
        (np.zeros((2, 3), object), "frames are object of shape (2, 3); expected floats (T, C)"),
        (np.zeros((2, 0)), "has 2 frames of 0 coefficients; drop empty utterances"),
        (np.zeros((0, 3)), "has 0 frames of 3 coefficients; drop empty utterances"),
        (np.array([[0, 1, 2], [3, np.nan, 4.0]]), "frame 1, coefficient 1 is nan; extract"),
        (np.array([[0, 1, -np.inf]]), "frame 0, coefficient 2 is -inf; extract"),
        (np.array([[1e39, 0, 0]]), "frame 0, coefficient 0 is 1e+39; extract"),
    ],
)
def test_frames_that_cannot_be_used_are_named(tmp_path, frames, message):
    bad = Utterance("bad", "", frames, np.zeros(len(frames), int))
    for position in ([bad], [utterance("a"), bad]):
        refusal = complaint(tmp_path, train=position)
        assert refusal.startswith("train utterance bad: ")
        assert message in refusal


@pytest.mark.parametrize("number", [3.4e38, -3.4e38, 1e-300])
def test_a_float64_that_float32_can_hold_is_accepted(tmp_path, number):
    pack(tmp_path, train=[utterance("a")._replace(frames=np.full((2, 3), number))])
    assert (read_array(tmp_path / "frames/train.npy") == np.float32(number)).all()


def test_utterances_of_different_width_are_refused_even_across_splits(tmp_path):
    refusal = complaint(tmp_path, train=[utterance("a", 9, 3)], test=[utterance("b", 9, 4)])
    assert refusal == (
        "test utterance b: has 4 coefficients a frame, those before have 3; "
        "extract all with the same settings, as (T, C)"
    )


@pytest.mark.parametrize(
    ("first", "second"), [((9, 3), (3, 7)), ((3, 9), (7, 3))], ids=["the second", "the first"]
)
def test_a_transposed_utterance_is_suspected(tmp_path, first, second):
    both = [utterance("a", *first), utterance("b", *second)]
    assert "one of them looks transposed; extract" in complaint(tmp_path, train=both)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 3]), "frame 1 has label 3; expected 0 to 2"),
        (np.array([-1, 0]), "frame 0 has label -1; expected 0 to 2"),
        (np.array([0, 65536]), "frame 1 has label 65536; expected 0 to 2"),
        (np.array([0, 2**64 - 1], np.uint64), "frame 1 has label 18446744073709551615; expected"),
        (np.array([0]), "2 frames but 1 labels; every frame needs one label"),
        (np.array([0, 1, 2]), "2 frames but 3 labels; every frame needs one label"),
        (np.array([0.0, 1.0]), "labels are float64 of shape (2,); expected integers (T,)"),
        (np.array([True, False]), "labels are bool of shape (2,); expected integers (T,)"),
        (np.array(["SIL", "AA"]), "labels are <U3 of shape (2,); expected integers (T,)"),
        (np.array([[0, 1]]), "labels are int64 of shape (1, 2); expected integers (T,)"),
    ],
)
def test_labels_that_cannot_be_used_are_named(tmp_path, labels, message):
    refusal = complaint(tmp_path, train=[utterance("a"), utterance("bad")._replace(labels=labels)])
    assert refusal.startswith("train utterance bad: ")
    assert message in refusal


@pytest.mark.parametrize("split", ["train", "dev"])
def test_only_test_may_be_unlabelled(tmp_path, split):
    refusal = complaint(tmp_path, **{split: [utterance("a", labels=False)]})
    assert refusal == (
        f"{split} utterance a: has no labels; only a whole test split may be unlabelled"
    )


def test_all_of_test_is_labelled_or_none(tmp_path):
    with_labels, without = utterance("a"), utterance("b", labels=False)
    assert complaint(tmp_path, test=[with_labels, without]) == (
        "test utterance b: has no labels; only a whole test split may be unlabelled"
    )
    assert complaint(tmp_path, test=[without, with_labels]) == (
        "test utterance a: has labels, those before have none; label all of test or none"
    )


@pytest.mark.parametrize("where", ["train", "dev"])
def test_a_name_given_twice_is_refused(tmp_path, where):
    utterances = {"train": [utterance("a")], "dev": [utterance("b")]}
    utterances[where] = [*utterances[where], utterance("a")]
    assert complaint(tmp_path, **utterances) == (
        f"{where} utterance a: this name is taken by an utterance of train; "
        "give every utterance its own name"
    )


def test_a_speaker_of_two_splits_is_refused(tmp_path):
    utterances = {"train": [utterance("a", speaker="s")], "test": [utterance("b", speaker="s")]}
    refusal = complaint(tmp_path, **utterances)
    assert refusal.startswith("test utterance b: speaker s is in train too, so scores would not be")
    assert refusal.endswith("or set corpus.allow_shared_speakers to true")


def test_a_speaker_of_train_may_be_in_a_test_without_labels_which_has_no_scores(tmp_path):
    unlabelled = utterance("b", speaker="s", labels=False)
    summary = pack(tmp_path, train=[utterance("a", speaker="s")], test=[unlabelled])
    assert summary["train"].speakers == summary["test"].speakers == 1


def test_a_speaker_of_two_splits_is_allowed_where_asked_for(tmp_path):
    utterances = {"train": [utterance("a", speaker="s")], "test": [utterance("b", speaker="s")]}
    summary = pack(tmp_path, allow_shared_speakers=True, **utterances)
    assert summary["train"].speakers == summary["test"].speakers == 1


def test_a_speaker_may_speak_often_within_one_split(tmp_path):
    spoken = [utterance("a", speaker="s"), utterance("b", speaker="s")]
    assert pack(tmp_path, train=spoken)["train"].speakers == 1


def test_unknown_speakers_may_be_in_all_splits(tmp_path):
    pack(tmp_path, train=[utterance("a")], dev=[utterance("b")], test=[utterance("c")])
    assert read_utterances(tmp_path, "train") == [("a", "")]
