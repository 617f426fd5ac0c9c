"""Normalize the frames of each split: data/corpus -> data/normalized."""

import json
import time
from dataclasses import asdict

import numpy as np

from phonemes.normalize import Normalizer, group_utterances, split_statistics
from phonemes.params import Params
from phonemes.storage.atomic import Outputs
from phonemes.storage.frames import FORMS, append_scales
from phonemes.storage.layout import CORPUS, NORMALIZATION, NORMALIZED, SPLITS, STATISTICS
from phonemes.storage.npy import NpyAppender
from phonemes.storage.read import read_frames, read_lengths, read_utterances
from phonemes.wording import rounded
from stages import run

NORMALIZED_OVER = {
    "utterance": "normalized over each utterance",
    "speaker": "normalized over each speaker",
    "corpus": "normalized over the training set",
    "none": "not normalized",
}


def main(params: Params, outputs: Outputs) -> None:
    """Write one (N, C) array a split, the training set's statistics and how they were used."""
    started, count = time.perf_counter(), 0
    over, jobs, train, scales = params.normalize.over, params.runtime.jobs, None, None
    folder = outputs.folder(NORMALIZED)
    for split in SPLITS:
        lengths = read_lengths(CORPUS, split)
        frames = read_frames(CORPUS / f"frames/{split}.npy", int(lengths.sum()))
        utterances = read_utterances(CORPUS, split, len(lengths))
        groups = group_utterances(over, [speaker for _, speaker in utterances])
        given, train = split_statistics(frames, lengths, groups, params.normalize, train, jobs)
        normalizer = Normalizer(frames, lengths, groups, given, params.normalize)
        if split == "train":
            scales = normalizer.scales(jobs)
        with NpyAppender(folder / f"{split}.npy", FORMS[params.normalize.storage]) as output:
            for run_of_frames in normalizer.stored(scales, jobs):
                output.append(run_of_frames)
        append_scales(folder / f"{split}.npy", scales)
        count += len(frames)
    assert train is not None
    # the model file takes both over, so that recordings elsewhere are normalized alike
    np.save(folder / STATISTICS.name, np.concatenate(train))  # (2, C) mean, deviation
    section = json.dumps(asdict(params.normalize.normalization), indent=2)
    (folder / NORMALIZATION.name).write_text(section + "\n", "utf-8", newline="\n")
    seconds = time.perf_counter() - started
    print(
        f"{NORMALIZED_OVER[over]}: {count:,} frames as {params.normalize.storage}; "
        f"{rounded(count / seconds)} frames/s"
    )


if __name__ == "__main__":
    run(main, "normalize")
