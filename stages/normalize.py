"""Normalize the frames of each split: data/corpus -> data/normalized."""

import time

import numpy as np

from phonemes.normalize import group_utterances, normalized, split_statistics
from phonemes.params import Params
from phonemes.storage.atomic import replacing
from phonemes.storage.layout import CORPUS, NORMALIZED, SPLITS
from phonemes.storage.npy import NpyAppender
from phonemes.storage.read import read_frames, read_lengths, read_utterances
from stages import run


def main(params: Params) -> None:
    """Write one (N, C) array a split, and the statistics where one set of them serves all."""
    started, count = time.perf_counter(), 0
    over, train = params.normalize.over, None
    with replacing(NORMALIZED) as folder:
        folder.mkdir()
        for split in SPLITS:
            lengths = read_lengths(CORPUS, split)
            frames = read_frames(CORPUS / f"frames/{split}.npy", int(lengths.sum()))
            utterances = read_utterances(CORPUS, split, len(lengths))
            groups = group_utterances(over, [speaker for _, speaker in utterances])
            given, train = split_statistics(frames, lengths, groups, params.normalize, train)
            with NpyAppender(folder / f"{split}.npy", np.dtype(np.float32)) as output:
                for utterance in normalized(
                    frames, lengths, groups, given, variance=params.normalize.variance
                ):
                    output.append(utterance)
            count += len(frames)
        if over == "corpus":
            np.save(folder / "statistics.npy", np.concatenate(given))  # (2, C) mean, deviation
    seconds = time.perf_counter() - started
    print(f"normalized over {over}: {count:,} frames, {count / seconds:,.0f} frames/s")


if __name__ == "__main__":
    run(main, "normalize")
