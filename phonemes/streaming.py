"""Train on frames that do not fit the device: shuffled blocks pass through it.

The frames stay where they are, in memory-mapped host memory. Utterances are cut into
pieces of `PIECE` frames, each with the context of its frames, and for every epoch the
pieces are dealt into blocks anew: of each run of as many neighbouring pieces as there
are blocks, every block gets one, at random. So a block holds a part of every utterance
longer than that run, and of every speaker, and within it the frames are in random order.

Neighbouring frames are nearly the same, and to meet them within one block is to learn them
by heart sooner. So an epoch takes several turns, in each of which all pieces pass by, dealt
anew, and every `TURNS`th frame of a piece is trained on: those next to it in other turns.

Two blocks lie on the device at a time. While the batches of one are trained on, the next
is laid out by a thread, in pinned memory, and copied by the device beside its work.
A batch may span both, so an epoch has as many batches as with a full shuffle.
"""

import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import Starts
from phonemes.corpus import Frames, Labels
from phonemes.errors import InputError
from phonemes.inference import Split, place, require_finite
from phonemes.params import Data, Train

BLOCK = 2**22  # frames of a block, about; at most what a fifth of the free memory holds
PIECE = 512  # frames; more are laid out faster, less context being laid out twice
TURNS = 4  # in an epoch; each passes all frames through the device
RESIDENT_SHARE = 0.7  # of the free memory, at most, that resident frames may take


class Dealt(NamedTuple):
    """What a block is to hold."""

    pieces: NDArray[np.int64]  # (Q,)
    first: NDArray[np.int64]  # (Q,) first frame of each to be trained on, counted in the piece


class Layout(NamedTuple):
    """One block, laid out in host memory."""

    slot: int  # 0 or 1, of the host's and the device's memory
    rows: Tensor  # (R, C) float32: pieces end to end, each with k rows before and after
    beyond: Tensor  # (R,) bool: rows beyond the utterance, which hold its first or last frame
    labels: Tensor  # (R,) or (R, 2n + 1) uint8 or int16, at the row where the frame's window starts
    starts: Tensor  # (M,) int32, those rows


def fits(
    frames: Frames,
    starts: Starts,
    labels: Labels,
    device: torch.device,
    dtype: torch.dtype,
) -> bool:
    """Tell whether the frames of a split, (N, C), fit in the free memory of the device."""
    if device.type != "cuda":
        return True
    needed = (int(starts[-1]) + 1) * frames.shape[1] * dtype.itemsize
    needed += starts.nbytes + max(labels.nbytes, 8 * len(labels))
    return needed < RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]


def place_or_stream(
    frames: Frames,
    starts: Starts,
    labels: Labels,
    data: Data,
    train: Train,
    device: torch.device,
    dtype: torch.dtype,
) -> "Split | Blocks":
    """Put a split on the device, or get it ready to pass through, as `train.shuffle` has it."""
    auto = train.shuffle == "auto"
    if train.shuffle == "full" or (auto and fits(frames, starts, labels, device, dtype)):
        return place(frames, starts, labels, data, device, dtype)
    return Blocks(frames, starts, labels, data, device, dtype, train.batch_size, train.seed)


def deal(pieces: int, blocks: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Deal pieces into blocks, one of each run of `blocks` neighbours to every block."""
    runs = -(-pieces // blocks)
    cards = np.full((runs, blocks), -1)
    cards.flat[:pieces] = np.arange(pieces)
    cards = random.permuted(cards, axis=1)
    return [block[block >= 0] for block in cards.T]


def _shared(array: NDArray) -> Tensor:
    """Return a tensor of the same memory, which nobody will write to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


class Blocks:
    """The frames of a split, passing through `split`, a part of which is on the device."""

    def __init__(
        self,
        frames: Frames,
        starts: Starts,
        labels: Labels,
        data: Data,
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
            frames: (N, C) normalized, memory-mapped.
            starts: (N,) from `context.window_starts`.
            labels: (N,), or (N, 2n + 1) to learn those of neighbours too.
            data: the k and padding that the starts were made with.
            device: where to.
            dtype: of the frames there.
            batch: B; a block is trained on for at least four of them.
            seed: of the dealing.
            block: frames of a block, about.
            piece: frames of a piece, at most.
            turns: in which all frames pass by in an epoch.
        """
        self.count, bands = frames.shape
        self._frames, self._labels = _shared(frames), _shared(labels)
        self._data, self._batch, self._seed, self._piece = data, batch, seed, piece
        first = np.flatnonzero(np.diff(starts, prepend=starts[0] - 2) != 1)
        ends = np.append(first[1:], self.count)
        pieces = -(-(ends - first) // piece)
        within = np.arange(pieces.sum()) - np.repeat(pieces.cumsum() - pieces, pieces)
        self._low = np.repeat(first, pieces)  # first frame of the utterance of each piece
        self._high = np.repeat(ends, pieces) - 1  # and last
        self._first = self._low + within * piece  # first frame of each piece
        self._lengths = np.minimum(piece, self._high + 1 - self._first)
        sizes = self._lengths + 2 * data.k  # rows of each piece
        if device.type == "cuda":
            row = bands * dtype.itemsize + 4 + 8 * labels[0].size  # bytes, with start and labels
            rows_there = torch.cuda.mem_get_info(device)[0] // 5 // row
            block = min(block, rows_there * self.count // int(sizes.sum()))
        dealt = max(1, self.count // max(block, 4 * batch))  # blocks of a turn
        self.turns = min(turns, max(1, block // (4 * batch))) if dealt > 1 else 1
        self.blocks = dealt * self.turns  # of an epoch
        # of a block, at most: as in `deal`, of each run of neighbours it gets one
        self._rows = rows = int(np.maximum.reduceat(sizes, np.arange(0, len(sizes), dealt)).sum())
        kind = torch.uint8 if labels.max() < 256 else torch.int16
        pinned = device.type == "cuda"
        self._hosts = [
            (
                torch.empty((rows, bands), pin_memory=pinned),
                torch.empty(rows, dtype=torch.bool, pin_memory=pinned),
                torch.empty((rows, *labels.shape[1:]), dtype=kind, pin_memory=pinned),
                torch.empty(rows, dtype=torch.int32, pin_memory=pinned),
            )
            for _ in range(2)
        ]
        self._padded = torch.zeros((2 * rows, bands), device=device, dtype=dtype)
        self.split = Split(
            self._padded.as_strided((2 * rows - 2 * data.k, (2 * data.k + 1) * bands), (bands, 1)),
            torch.arange(2 * rows, dtype=torch.int32, device=device),
            torch.zeros(
                (2 * rows, *labels.shape[1:]),
                dtype=torch.int64 if labels.ndim == 1 else kind,
                device=device,
            ),
        )
        self._side = torch.cuda.Stream(device) if pinned else None
        self._copied: list[torch.cuda.Event | None] = [None, None]  # from each host slot
        threads = torch.get_num_threads()  # a new thread may have been told of fewer
        self.worker = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(threads,))
        self._cards: dict[int, list[Dealt]] = {}  # by epoch
        self._layouts: dict[tuple[int, int], Future[Layout]] = {}  # by epoch and block

    def begin(self, epoch: int, order: Tensor, generator: torch.Generator) -> None:
        """Start an epoch, whose `order`, (S B,) rows of `split`, is filled block by block.

        Raises:
            InputError: a block has less than a batch.
        """
        self._epoch, self._order, self._generator = epoch, order, generator
        sizes = [
            int((-(-(self._lengths[block.pieces] - block.first) // self.turns)).sum())
            for block in self._dealt(epoch)
        ]
        if self.blocks > 1 and min(sizes) < self._batch:
            raise InputError(
                f"a block of frames would hold {min(sizes)}, less than train.batch_size: "
                "utterances differ too much in length; set train.shuffle to full"
            )
        self.begins = np.cumsum([0, *sizes])  # of each block in the order, and its end
        self._arrived: list[torch.cuda.Event | None] = []  # when a block is on the device
        self._awaited = 0
        if (epoch, 0) not in self._layouts:
            self._layouts.clear()
            self._upcoming, self._serial = (epoch, 0), 0
            self._copied = [None, None]
            for _ in range(2):
                self._lay_out_next()
        self._upload()

    def before(self, step: int) -> None:
        """See that the frames of a step are there, and those of the next block on their way."""
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

    def _dealt(self, epoch: int) -> list[Dealt]:
        """Return what each block is to hold; at most two epochs are kept."""
        if epoch not in self._cards:
            random = np.random.default_rng((self._seed, epoch))
            kept = {each: cards for each, cards in self._cards.items() if each == epoch - 1}
            count = len(self._first)
            offsets = random.integers(self.turns, size=count)
            cards = [
                Dealt(pieces, (offsets[pieces] + turn) % self.turns)
                for turn in range(self.turns)
                for pieces in deal(count, self.blocks // self.turns, random)
            ]
            self._cards = kept | {epoch: cards}
        return self._cards[epoch]

    def _lay_out_next(self) -> None:
        """Have the block after the newest layout laid out, be it of the next epoch."""
        epoch, number = self._upcoming
        chosen, slot = self._dealt(epoch)[number], self._serial % 2
        unseen = self._serial < self.blocks // self.turns
        self._layouts[epoch, number] = self.worker.submit(self._lay_out, chosen, slot, unseen)
        self._serial += 1
        self._upcoming = (epoch, number + 1) if number + 1 < self.blocks else (epoch + 1, 0)

    def _lay_out(self, chosen: Dealt, slot: int, unseen: bool) -> Layout:
        """Lay pieces out in host memory, once the block that was there has been copied."""
        copied = self._copied[slot]
        if copied is not None:
            copied.synchronize()
        k = self._data.k
        first, low, high, lengths = (
            torch.from_numpy(values[chosen.pieces])
            for values in (self._first, self._low, self._high, self._lengths)
        )
        sizes = lengths + 2 * k
        begins = sizes.cumsum(0) - sizes
        piece = torch.repeat_interleave(sizes)  # (R,) that each row belongs to
        wanted = torch.arange(len(piece)) + (first - k - begins)[piece]
        frames = wanted.maximum(low[piece]).minimum(high[piece])
        rows, beyond, labels, starts = (part[: len(piece)] for part in self._hosts[slot])
        torch.index_select(self._frames, 0, frames, out=rows)
        torch.ne(frames, wanted, out=beyond)
        if unseen:
            require_finite(rows)
        labels[:] = self._labels[(wanted + k).clamp(max=self.count - 1)]
        taken = torch.from_numpy(chosen.first)[:, None] + torch.arange(0, self._piece, self.turns)
        valid = (begins[:, None] + taken)[taken < lengths[:, None]]
        starts[: len(valid)] = valid
        return Layout(slot, rows, beyond, labels, starts[: len(valid)])

    def _upload(self) -> None:
        """Copy the next block to the device, in the place of the one before the newest."""
        number = len(self._arrived)
        layout = self._layouts.pop((self._epoch, number)).result()
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
            shuffled = torch.randperm(len(starts), generator=self._generator, device=device)
            self._order[begin:end] = starts[shuffled] + first
            if end == self.count:  # the last batch is filled up with frames of the one before
                extra = len(self._order) - self.count
                again = self.count - self._batch
                self._order[self.count :] = self._order[again : again + extra].clone()
            event = self._side.record_event() if self._side else None
        self._copied[layout.slot] = event
        self._arrived.append(event)
        self._lay_out_next()
