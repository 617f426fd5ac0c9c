"""Train on frames that do not fit the device: shuffled blocks pass through it.

The frames stay where they are, in memory-mapped host memory. Utterances are cut into
pieces of `PIECE` frames, each with the context of its frames, and for every epoch the
pieces are dealt into blocks anew: of each run of as many neighbouring pieces as there
are blocks, every block gets one, at random. So a block holds a part of every utterance
longer than that run, and of every speaker, and within it the frames are in random order.

Neighbouring frames are nearly the same, and training on them within one block overfits
sooner. So an epoch takes several turns, in each of which all pieces pass by, dealt anew,
and every `TURNS`th frame of a piece is trained on: those next to it in other turns.

Two blocks lie on the device at a time. While the batches of one are trained on, the next
is laid out by a thread, in pinned memory, and copied by the device in parallel to its
other work. A batch may span both, so an epoch has as many batches as with a full shuffle.
"""

import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import DataParams
from phonemes.errors import InputError
from phonemes.inference.windows import DeviceSplit, require_finite
from phonemes.storage.layout import HostSplit, Starts
from phonemes.training.seeds import derived

BLOCK = 2**22  # frames of a block, about; at most what a fifth of the memory holds
PIECE = 512  # frames; more are laid out faster, less context being laid out twice
TURNS = 4  # in an epoch; each passes all frames through the device
RESIDENT_SHARE = 0.7  # of the memory, at most, that resident frames may take


def memory_of(device: torch.device) -> int:
    """Return the bytes of memory of a GPU.

    All of it, not what is free: else what is trained would depend on who else uses the GPU.
    """
    return torch.cuda.mem_get_info(device)[1]


def fits(split: HostSplit, device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether the frames of a split, (N, C), fit in the memory of the device."""
    if device.type != "cuda":
        return True
    frames, starts, labels = split
    assert labels is not None
    needed = (int(starts[-1]) + 1) * frames.shape[1] * dtype.itemsize
    needed += starts.nbytes + max(labels.nbytes, 8 * len(labels))
    return needed < RESIDENT_SHARE * memory_of(device)


class Pieces(NamedTuple):
    """Utterances cut into Q pieces; all are frames of the split."""

    low: NDArray[np.int64]  # (Q,) first frame of the piece's utterance
    high: NDArray[np.int64]  # (Q,) and its last
    first: NDArray[np.int64]  # (Q,) first frame of the piece
    lengths: NDArray[np.int64]  # (Q,) frames of the piece


def cut(starts: Starts, piece: int) -> Pieces:
    """Cut the utterances of (N,) window starts into pieces of at most `piece` frames."""
    first = np.flatnonzero(np.diff(starts, prepend=starts[0] - 2) != 1)
    ends = np.append(first[1:], len(starts))
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
    rows: Tensor  # (R, C) float32: pieces end to end, each with k rows before and after
    beyond: Tensor  # (R,) bool: rows beyond the utterance, which hold its first or last frame
    labels: Tensor  # (R,) or (R, D) uint8 or int16, at the row where the frame's window starts
    starts: Tensor  # (M,) int32, those rows


class HostMemory(NamedTuple):
    """Where blocks are laid out: two of each, pinned where a GPU copies them."""

    rows: Tensor  # (2, R, C) float32
    beyond: Tensor  # (2, R) bool
    labels: Tensor  # (2, R) or (2, R, D) uint8 or int16
    starts: Tensor  # (2, R) int32

    @classmethod
    def of(
        cls, rows: int, bands: int, targets: tuple[int, ...], kind: torch.dtype, pinned: bool
    ) -> "HostMemory":
        """Return memory for two blocks of R = `rows`, each with labels of a shape and type."""
        return cls(
            torch.empty((2, rows, bands), pin_memory=pinned),
            torch.empty((2, rows), dtype=torch.bool, pin_memory=pinned),
            torch.empty((2, rows, *targets), dtype=kind, pin_memory=pinned),
            torch.empty((2, rows), dtype=torch.int32, pin_memory=pinned),
        )


class LayoutPlan(NamedTuple):
    """How the pieces of a split are laid out."""

    frames: Tensor  # (N, C) float32 of the split, in host memory
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
        torch.index_select(self.frames, 0, frames, out=rows)
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


def _shared(array: NDArray) -> Tensor:
    """Return a tensor of the same memory, which nobody will write to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


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
            dtype: of the frames on the device, which they must not overflow.
        """
        self._plan, self._memory, self._blocks, self._seed = plan, memory, blocks, seed
        self._halved = dtype == torch.float16
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
            require_finite(layout.rows.half() if self._halved else layout.rows)
        return layout


class StreamedBatches:
    """Batches of a split whose frames pass through `split`, a part of which is on the device."""

    def __init__(
        self,
        host: HostSplit,
        data: DataParams,
        device: torch.device,
        dtype: torch.dtype,
        batch: int,
        seed: int,
        block: int = BLOCK,
        piece: int = PIECE,
        turns: int = TURNS,
    ) -> None:
        """Make room for two blocks.

        Args:
            host: the split; frames may be memory-mapped, labels are (N,) or (N, D).
            data: the k and padding that its starts were made with.
            device: where to.
            dtype: of the frames there.
            batch: B; a block is trained on for at least four of them.
            seed: of the dealing, and of the order of frames.
            block: frames of a block, about.
            piece: frames of a piece, at most.
            turns: in which all frames pass by in an epoch.
        """
        frames, starts, labels = host
        assert labels is not None
        self.count, bands = frames.shape
        self.generator = torch.Generator(device).manual_seed(seed)
        self._data, self._batch = data, batch
        pieces = cut(starts, piece)
        sizes = pieces.lengths + 2 * data.k  # rows of each piece
        pinned = device.type == "cuda"
        if pinned:
            row = bands * dtype.itemsize + 4 + 8 * labels[0].size  # bytes, with start and labels
            rows_there = memory_of(device) // 5 // row
            block = min(block, rows_there * self.count // int(sizes.sum()))
        dealt = max(1, self.count // max(block, 4 * batch))  # blocks of a turn
        self.turns = min(turns, max(1, block // (4 * batch))) if dealt > 1 else 1
        self.blocks = dealt * self.turns  # of an epoch
        # of a block, at most: as in `deal`, of each run of neighbours it gets one
        self._rows = rows = int(np.maximum.reduceat(sizes, np.arange(0, len(sizes), dealt)).sum())
        kind = torch.uint8 if labels.max() < 256 else torch.int16
        memory = HostMemory.of(rows, bands, labels.shape[1:], kind, pinned)
        self._plan = LayoutPlan(_shared(frames), _shared(labels), pieces, data.k, piece, self.turns)
        dealing = derived(seed, "dealing of pieces")
        self.queue = BlockQueue(self._plan, memory, self.blocks, dealing, dtype)
        self._padded = torch.zeros((2 * rows, bands), device=device, dtype=dtype)
        self.split = DeviceSplit(
            self._padded.as_strided((2 * rows - 2 * data.k, (2 * data.k + 1) * bands), (bands, 1)),
            torch.arange(2 * rows, dtype=torch.int32, device=device),
            torch.zeros(
                (2 * rows, *labels.shape[1:]),
                dtype=torch.int64 if labels.ndim == 1 else kind,
                device=device,
            ),
        )
        self._side = torch.cuda.Stream(device) if pinned else None

    def begin(self, epoch: int, order: Tensor) -> None:
        """Start an epoch, whose `order`, (S B,) rows of `split`, is filled block by block.

        Raises:
            InputError: a block has less than a batch.
        """
        self._epoch, self._order = epoch, order
        sizes = [self._plan.trained(block) for block in self.queue.dealt(epoch)]
        if self.blocks > 1 and min(sizes) < self._batch:
            raise InputError(
                f"a block of frames would hold {min(sizes)}, less than train.batch_size: "
                "utterances differ too much in length; set train.batches to resident"
            )
        self.begins = np.cumsum([0, *sizes])  # of each block in the order, and its end
        self._arrived: list[torch.cuda.Event | None] = []  # when a block is on the device
        self._awaited = 0
        self.queue.begin(epoch)
        self._upload()

    def before(self, step: int) -> None:
        """Wait for the frames of a step, and have those of the next block copied ahead of time."""
        begin = step * self._batch
        end = min(begin + self._batch, self.count)
        while self._awaited < self.blocks and end > self.begins[self._awaited]:
            if self._awaited == len(self._arrived):
                self._upload()
            arrived = self._arrived[self._awaited]
            if arrived is not None:
                torch.cuda.current_stream().wait_event(arrived)
            self._awaited += 1
        newest = len(self._arrived)
        # half a block early; by now nobody will read the block before the newest one again
        if newest < self.blocks and begin >= self.begins[newest - 1 : newest + 1].mean():
            self._upload()

    def _upload(self) -> None:
        """Copy the next block to the device, in the place of the one before the newest."""
        number = len(self._arrived)
        layout = self.queue.take(self._epoch, number)
        first = layout.slot * self._rows
        half = slice(first, first + len(layout.rows))
        begin, end = self.begins[number], self.begins[number + 1]
        labels = self.split.labels
        assert labels is not None
        if self._side:  # the steps launched so far may read what lies there
            self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side) if self._side else nullcontext():
            device = labels.device
            self._padded[half] = layout.rows.to(device, non_blocking=True)
            if self._data.padding == "zero":
                beyond = layout.beyond.to(device, non_blocking=True)
                self._padded[half].masked_fill_(beyond[:, None], 0)
            labels[half] = layout.labels.to(device, non_blocking=True)
            starts = layout.starts.to(device, non_blocking=True)
            shuffled = torch.randperm(len(starts), generator=self.generator, device=device)
            self._order[begin:end] = starts[shuffled] + first
            if end == self.count:  # the last batch is filled up with frames of the one before
                extra = len(self._order) - self.count
                again = self.count - self._batch
                self._order[self.count :] = self._order[again : again + extra].clone()
            event = self._side.record_event() if self._side else None
        self._arrived.append(event)
        self.queue.copied(layout.slot, event)
