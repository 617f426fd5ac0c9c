"""Index the window of every frame: data/corpus/lengths -> data/context."""

import json
import time

import numpy as np

from phonemes.context import window_milliseconds, window_starts
from phonemes.params import Params
from phonemes.storage.atomic import Outputs
from phonemes.storage.layout import CONTEXT, CORPUS, SPLITS, WINDOW
from phonemes.storage.read import read_lengths
from phonemes.wording import counted, rounded
from stages import run


def main(params: Params, outputs: Outputs) -> None:
    """Write where each frame's window starts, and what a window covers."""
    started, count = time.perf_counter(), 0
    k, features = params.data.k, params.features
    folder, window = outputs.folder(CONTEXT), outputs.file(WINDOW)
    for split in SPLITS:
        lengths = read_lengths(CORPUS, split)
        starts = window_starts(lengths, k, params.data.padding)
        np.save(folder / f"{split}.npy", starts)
        count += len(starts)
    milliseconds = window_milliseconds(k, features.stride, features.frame_width)
    facts = {"k": k, "window_frames": 2 * k + 1, "window_ms": milliseconds}
    window.write_text(json.dumps(facts, indent=2) + "\n", "utf-8", newline="\n")
    seconds = time.perf_counter() - started
    print(
        f"k = {k}: windows of {counted(2 * k + 1, 'frame')}, {milliseconds:g} ms, by an index of "
        f"{starts.itemsize} bytes a frame; {rounded(count / seconds)} frames/s"
    )


if __name__ == "__main__":
    run(main, "data", "features")
