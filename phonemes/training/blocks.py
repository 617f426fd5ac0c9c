"""The blocks of streamed batches, on the host: dealt anew for every epoch, laid out by a thread.

`phonemes.training.streaming` has the idea, and copies them to the device.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.inference.windows import as_tensor, require_finite
from phonemes.storage.layout import Starts, StoredFrames
from phonemes.storage.parts import jumps, release


class Pieces(NamedTuple):
    """Utterances cut into Q pieces; all are frames of the split."""

    low: NDArray[np.int64]  # (Q,) first frame of the piece's utterance
    high: NDArray[np.int64]  # (Q,) and its last
    first: NDArray[np.int64]  # (Q,) first frame of the piece
    lengths: NDArray[np.int64]  # (Q,) frames of the piece


def cut(starts: Starts, piece: int, utterances: NDArray[np.bool_] | None = None) -> Pieces:
    """Cut utterances of (N,) window starts into pieces of at most `piece` frames.

    Args:
        starts: of all utterances.
        piece: frames.
        utterances: (U,) which of them; None: all.
    """
    ends = np.append(jumps(starts) + 1, len(starts))
    first = np.append(0, ends[:-1])
    if utterances is not None:
        first, ends = first[utterances], ends[utterances]
    pieces = -(-(ends - first) // piece)
    within = np.arange(pieces.sum()) - np.repeat(pieces.cumsum() - pieces, pieces)
    low, high = np.repeat(first, pieces), np.repeat(ends, pieces) - 1
    begin = low + within * piece
    return Pieces(low, high, begin, np.minimum(piece, high + 1 - begin))


class Block(NamedTuple):
    """What a block is to hold."""

    pieces: NDArray[np.int64]  # (Q,)
    first: NDArray[np.int64]  # (Q,) first frame of each to be trained on, counted in the piece


def deal(pieces: int, blocks: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Deal pieces into blocks, one of each run of `blocks` neighbours to every block."""
    runs = -(-pieces // blocks)
    cards = np.full((runs, blocks), -1)
    cards.flat[:pieces] = np.arange(pieces)
    cards = random.permuted(cards, axis=1)
    return [block[block >= 0] for block in cards.T]


def deal_epoch(pieces: int, blocks: int, turns: int, random: np.random.Generator) -> list[Block]:
    """Deal pieces into the blocks of an epoch, as many in each turn."""
    offsets = random.integers(turns, size=pieces)
    return [
        Block(chosen, (offsets[chosen] + turn) % turns)
        for turn in range(turns)
        for chosen in deal(pieces, blocks // turns, random)
    ]


class Layout(NamedTuple):
    """One block, laid out in host memory."""

    slot: int  # 0 or 1, of the host's and the device's memory
    rows: Tensor  # (R, C) as they are stored: pieces end to end, each with k rows before and after
    beyond: Tensor  # (R,) bool: rows beyond the utterance, which hold its first or last frame
    labels: Tensor  # (R,) or (R, D) uint8 or int16, at the row where the frame's window starts
    starts: Tensor  # (M,) int32, those rows


class HostMemory(NamedTuple):
    """Where blocks are laid out: two of each, pinned where a GPU copies them."""

    rows: Tensor  # (2, R, C) of the type of the split's frames
    beyond: Tensor  # (2, R) bool
    labels: Tensor  # (2, R) or (2, R, D) uint8 or int16
    starts: Tensor  # (2, R) int32

    @classmethod
    def of(
        cls, rows: int, frames: Tensor, targets: tuple[int, ...], kind: torch.dtype, pinned: bool
    ) -> "HostMemory":
        """Return memory for two blocks of R = `rows`, like some frames, with labels of a type."""
        return cls(
            torch.empty((2, rows, frames.shape[1]), dtype=frames.dtype, pin_memory=pinned),
            torch.empty((2, rows), dtype=torch.bool, pin_memory=pinned),
            torch.empty((2, rows, *targets), dtype=kind, pin_memory=pinned),
            torch.empty((2, rows), dtype=torch.int32, pin_memory=pinned),
        )


class LayoutPlan(NamedTuple):
    """How the pieces of a split are laid out."""

    frames: StoredFrames  # (N, C) of the split, in host memory
    labels: Tensor  # (N,) or (N, D)
    pieces: Pieces
    k: int
    piece: int  # frames of one, at most
    turns: int  # every so many frames of a piece are trained on

    def lay_out(self, block: Block, memory: HostMemory, slot: int) -> Layout:
        """Lay a block out in a slot of the memory."""
        k = self.k
        first, low, high, lengths = (
            torch.from_numpy(values[block.pieces])
            for values in (
                self.pieces.first,
                self.pieces.low,
                self.pieces.high,
                self.pieces.lengths,
            )
        )
        sizes = lengths + 2 * k
        begins = sizes.cumsum(0) - sizes
        piece = torch.repeat_interleave(sizes)  # (R,) that each row belongs to
        wanted = torch.arange(len(piece)) + (first - k - begins)[piece]
        frames = wanted.maximum(low[piece]).minimum(high[piece])
        rows, beyond, labels, starts = (part[slot, : len(piece)] for part in memory)
        torch.index_select(as_tensor(self.frames), 0, frames, out=rows)
        release(self.frames)
        torch.ne(frames, wanted, out=beyond)
        labels[:] = self.labels[(wanted + k).clamp(max=len(self.frames) - 1)]
        taken = torch.from_numpy(block.first)[:, None] + torch.arange(0, self.piece, self.turns)
        valid = (begins[:, None] + taken)[taken < lengths[:, None]]
        starts[: len(valid)] = valid
        return Layout(slot, rows, beyond, labels, starts[: len(valid)])

    def trained(self, block: Block) -> int:
        """Return how many frames of a block are trained on."""
        lengths = self.pieces.lengths[block.pieces] - block.first
        return int((-(-lengths // self.turns)).sum())


class BlockQueue:
    """The blocks of all epochs, one after the other, laid out ahead of time by a thread."""

    def __init__(
        self, plan: LayoutPlan, memory: HostMemory, blocks: int, seed: int, dtype: torch.dtype
    ) -> None:
        """Get ready to lay out `blocks` blocks an epoch, dealt by the seed.

        Args:
            plan: how pieces are laid out.
            memory: where.
            blocks: of an epoch.
            seed: of the dealing.
            dtype: of windows, which frames must not overflow.
        """
        self._plan, self._memory, self._blocks, self._seed = plan, memory, blocks, seed
        self._dtype = dtype
        # when each slot has been copied to the device, and may be written to again
        self._copied: list[torch.cuda.Event | None] = [None, None]
        threads = torch.get_num_threads()  # a new thread may start with fewer
        self.worker = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(threads,))
        self._dealt: dict[int, list[Block]] = {}  # by epoch
        self._layouts: dict[tuple[int, int], Future[Layout]] = {}  # by epoch and block

    def dealt(self, epoch: int) -> list[Block]:
        """Return what each block of an epoch is to hold; at most two epochs are kept."""
        if epoch not in self._dealt:
            random = np.random.default_rng((self._seed, epoch))
            kept = {each: blocks for each, blocks in self._dealt.items() if each == epoch - 1}
            count = len(self._plan.pieces.first)
            blocks = deal_epoch(count, self._blocks, self._plan.turns, random)
            self._dealt = kept | {epoch: blocks}
        return self._dealt[epoch]

    def begin(self, epoch: int) -> None:
        """Start an epoch, whose first blocks may be laid out already."""
        if (epoch, 0) not in self._layouts:
            self._layouts.clear()
            self._upcoming, self._serial = (epoch, 0), 0
            self._copied = [None, None]
            for _ in range(2):
                self._lay_out_next()

    def take(self, epoch: int, number: int) -> Layout:
        """Wait for a block to be laid out, and return it."""
        return self._layouts.pop((epoch, number)).result()

    def copied(self, slot: int, event: "torch.cuda.Event | None") -> None:
        """Lay out the next block, in a slot that can be written to after an event."""
        self._copied[slot] = event
        self._lay_out_next()

    def _lay_out_next(self) -> None:
        epoch, number = self._upcoming
        block, slot = self.dealt(epoch)[number], self._serial % 2
        unseen = self._serial < self._blocks // self._plan.turns
        self._layouts[epoch, number] = self.worker.submit(self._lay_out, block, slot, unseen)
        self._serial += 1
        self._upcoming = (epoch, number + 1) if number + 1 < self._blocks else (epoch + 1, 0)

    def _lay_out(self, block: Block, slot: int, unseen: bool) -> Layout:
        copied = self._copied[slot]
        if copied is not None:
            copied.synchronize()
        layout = self._plan.lay_out(block, self._memory, slot)
        if unseen:
            require_finite(layout.rows, self._dtype)
        return layout
