"""Parts of a split, and the share that each of several processes has: utterances, dealt at random.

Arrays are in the order of speakers. Neighbours dealt to one process would leave its batches, and
the statistics by which they are normalized, to few speakers.
"""

from heapq import heapreplace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phonemes.context import DataParams, utterance_lengths, window_starts
from phonemes.distributed.world import World
from phonemes.errors import InputError
from phonemes.storage.layout import HostSplit, Starts
from phonemes.training.seeds import derived


class Share(NamedTuple):
    """What a process has of a split, and how far the processes' shares differ."""

    utterances: NDArray[np.bool_]  # (U,) which are this process's
    fewest: int  # frames of the smallest share
    most: int  # frames of the largest share


def select(split: HostSplit, utterances: NDArray[np.bool_], data: DataParams) -> HostSplit:
    """Return some utterances of a split, (U,) bool, with starts for the windows of `data`."""
    assert split.labels is not None
    lengths = utterance_lengths(split.starts)
    frames = np.repeat(utterances, lengths)
    starts = window_starts(lengths[utterances], data.k, data.padding)
    return split._replace(frames=split.frames[frames], starts=starts, labels=split.labels[frames])


def deal(lengths: NDArray[np.integer], size: int, seed: int) -> NDArray[np.intp]:
    """Return to which of `size` processes each utterance goes, (U,).

    One after the other, in random order, goes to whoever has the fewest frames: shares differ by
    no more than the longest utterance.

    Args:
        lengths: (U,) frames of each utterance.
        size: of processes.
        seed: of the order.
    """
    owners = np.empty(len(lengths), np.intp)
    heap = [(0, process) for process in range(size)]
    for number in np.random.default_rng(seed).permutation(len(lengths)).tolist():
        frames, owners[number] = heap[0]
        heapreplace(heap, (frames + int(lengths[number]), heap[0][1]))
    return owners


def share_of(name: str, starts: Starts, world: World, seed: int) -> Share:
    """Return the share of a process.

    Args:
        name: of the split, for the error.
        starts: (N,) of the split's windows, which jump from an utterance to the next.
        world: of the process.
        seed: the same for all processes.

    Raises:
        InputError: there are fewer utterances than processes.
    """
    lengths = utterance_lengths(starts)
    if len(lengths) < world.size:
        raise InputError(
            f"{name} has {len(lengths):,} utterance{'s' * (len(lengths) != 1)}, too few for "
            f"{world.size} processes to share; lower runtime.gpus, or the processes of torchrun"
        )
    owners = deal(lengths, world.size, derived(seed, f"shares of {name}"))
    frames = np.bincount(owners, lengths, world.size)
    return Share(owners == world.rank, int(frames.min()), int(frames.max()))


def process_seed(seed: int, world: World) -> int:
    """Return the seed of what a process draws for itself; the first one draws as one alone."""
    return seed if world.first else derived(seed, f"process {world.rank}")


def process_batch(batch: int, world: World) -> int:
    """Return the frames of a batch that each process has.

    Raises:
        InputError: the batch cannot be shared evenly.
    """
    each, left = divmod(batch, world.size)
    if left or not each:
        below, above = batch - left, batch - left + world.size
        choice = f"{below:,} or {above:,}" if below else f"{above:,}"
        raise InputError(
            f"train.batch_size is {batch:,}, which {world.size} processes cannot share evenly; set "
            f"it to {choice}, or run another number of processes"
        )
    return each
