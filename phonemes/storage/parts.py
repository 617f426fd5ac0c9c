"""Go through the utterances of a split part by part, on several threads, in bounded memory.

Numpy's loops over the frames of an utterance leave Python's lock alone, so threads are enough.
"""

import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Result = TypeVar("Result")

PART = 2**16  # frames of a part, about: 10 MiB of 40 bands


class Part(NamedTuple):
    """A run of utterances, and of their frames."""

    utterances: slice
    frames: slice


def parts(lengths: NDArray[np.integer], most: int = PART) -> list[Part]:
    """Cut a split into runs of utterances of `most` frames, or of one longer utterance.

    Args:
        lengths: (U,) frames in each utterance.
        most: frames of a part.
    """
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    found, first = [], 0
    while first < len(lengths):
        last = int(np.searchsorted(ends, ends[first] + most, "right")) - 1
        last = max(last, first + 1)
        found.append(Part(slice(first, last), slice(int(ends[first]), int(ends[last]))))
        first = last
    return found


def jumps(starts: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the last frame of each utterance but the last, (U - 1,), after which starts jump.

    Args:
        starts: (N,) from `context.window_starts`.
    """
    found = [
        first + np.flatnonzero(np.diff(starts[first : first + PART + 1]) != 1)
        for first in range(0, len(starts), PART)
    ]
    return np.concatenate([np.empty(0, np.intp), *found])


def rows_of(array: NDArray, rows: slice) -> NDArray:
    """Return rows of an array; those of a file through a mapping of their own, which ends with it.

    What was read through a mapping of the whole file counts as this process's memory to its end.
    """
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        return array[rows]
    start, stop, _ = rows.indices(len(array))
    offset = array.offset + start * array.strides[0]
    return np.memmap(array.filename, array.dtype, "r", offset, (stop - start, *array.shape[1:]))


def release(array: NDArray | memoryview) -> None:
    """Give back the memory of what was read of a memory-mapped array; it may be read again."""
    fixed = array.readonly if isinstance(array, memoryview) else not array.flags.writeable
    base: object = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    # of one that may be written to, what was written would be lost
    if isinstance(base, mmap.mmap) and fixed and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[Result]:
    """Yield `function(item)` of each item, in order; only a few results wait at a time.

    Args:
        function: leaves Python's lock alone for most of its time.
        items: taken as they are needed.
        jobs: threads, 0 for one a core; with 1 it is this one that computes.
    """
    threads = jobs or os.cpu_count() or 1
    if threads == 1:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
