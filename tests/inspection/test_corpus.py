"""A corpus is summed up split by split, and what splits share or lack is named."""

import numpy as np
import pytest
from inspection.speech import BANDS, PHONEMES, SIL, STRIDE, S, T, inspected, made, speech, splits

from phonemes.inspection.corpus import band_levels, inspect_corpus


def test_sizes_lengths_and_phonemes_are_those_of_the_arrays():
    given = splits()
    report = inspect_corpus(given, PHONEMES, STRIDE)
    assert [*report.splits] == ["train", "dev", "test"]
    for name, found in report.splits.items():
        frames, lengths, labels, names, _ = given[name]
        assert found.frames == len(frames)
        assert found.names == names
        assert found.lengths.tolist() == np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1]).tolist()
        assert found.bands.mean == pytest.approx(frames.mean(0, dtype=float))
        assert found.bands.deviation == pytest.approx(frames.std(0, dtype=float))
        if name == "test":
            assert found.counts is None
            assert found.silence is None
        else:
            assert found.counts.tolist() == np.bincount(labels, minlength=6).tolist()
            assert found.silence == pytest.approx((labels == SIL).mean())


def test_a_good_corpus_has_nothing_to_report():
    report = inspected()
    assert (report.copies, report.shared_speakers, report.absent) == ([], {}, {})
    assert [each.suspicions for each in report.splits.values()] == [[], [], []]


def test_a_phoneme_that_one_split_lacks_is_named_and_one_that_all_lack_is_not():
    def without_t(utterances):
        for _, labels in utterances:
            labels[labels == T] = S

    assert inspected(dev=made("dev", without_t)).absent == {"dev": ["T"]}  # all lack SPN


def test_speakers_of_several_splits_are_named_and_unknown_ones_are_not():
    dev = made("dev")._replace(speakers=["train-speaker-1", *["a"] * 8, ""])
    test = made("test")._replace(speakers=["a", *[""] * 10])
    assert inspected(dev=dev, test=test).shared_speakers == {
        "train-speaker-1": ["train", "dev"],
        "a": ["dev", "test"],
    }


def test_copies_are_named_within_and_between_splits():
    train = speech(500)  # the first of train

    def copied(utterances):
        utterances[4] = train
        utterances[6] = train[0] + np.float32(2.5), train[1]
        utterances[9] = utterances[8]

    report = inspected(dev=made("dev", copied))
    assert report.copies == [
        (False, [("train", "train-0"), ("dev", "dev-4"), ("dev", "dev-6")]),
        (True, [("dev", "dev-8"), ("dev", "dev-9")]),
    ]


def test_an_utterance_that_looks_wrong_is_named_in_its_split():
    def spoil(utterances):
        utterances[3][1][:] = S

    report = inspected(dev=made("dev", spoil))
    (found,) = report.splits["dev"].suspicions
    assert (found.utterance, found.reason) == (3, "one label for all frames")
    assert report.splits["train"].suspicions == []


def test_constant_bands_are_named():
    frames = np.random.default_rng(0).normal(size=(50, BANDS)).astype(np.float32)
    frames[:, 2] = -3.5
    assert band_levels(frames).constant.tolist() == [2]


def test_where_no_phoneme_is_called_silence_its_share_is_unknown():
    report = inspect_corpus(splits(), tuple(map(str, range(6))), STRIDE)
    assert report.splits["train"].silence is None


def test_memory_mapped_frames_are_never_all_in_memory(tmp_path, monkeypatch):
    given = splits()
    np.save(tmp_path / "train.npy", given["train"].frames)
    mapped = np.load(tmp_path / "train.npy", mmap_mode="r")
    seen = []

    def progress(items, total):
        for frames, labels in items:
            assert isinstance(frames, np.memmap)
            seen.append(len(frames))
            yield frames, labels
        assert total == len(given["train"].lengths)

    only = {"train": given["train"]._replace(frames=mapped)}
    inspect_corpus(only, PHONEMES, STRIDE, progress)
    assert seen == given["train"].lengths.tolist()
