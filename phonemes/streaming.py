"""Train on frames that do not fit the device: shuffled blocks pass through it.

The frames stay where they are, in memory-mapped host memory. Utterances are cut into
pieces of `PIECE` frames, each with the context of its frames, and for every epoch the
pieces are dealt into blocks anew: of each run of as many neighbouring pieces as there
are blocks, every block gets one, at random. So a block holds a part of every utterance
longer than that run, and of every speaker, and within it the frames are in random order.
What is left of the order in the corpus: the frames of a piece pass by in the same block.

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
PIECE = 256  # frames; more are laid out faster, less context being laid out twice
RESIDENT_SHARE = 0.7  # of the free memory, at most, that resident frames may take


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
    beside: int = 0,
) -> bool:
    """Tell whether the frames of a split, (N, C), can stay there, beside what takes some bytes."""
    if device.type != "cuda":
        return True
    needed = (int(starts[-1]) + 1) * frames.shape[1] * dtype.itemsize
    needed += starts.nbytes + max(labels.nbytes, 8 * len(labels)) + beside
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
    ) -> None:
        """Make room for two blocks.

        Args:
            frames: (N, C) normalized, memory-mapped.
            starts: (N,) from `context.window_starts`.
            labels: (N,), or (N, 2n + 1) to learn those of neighbours too.
            data: the k and padding that the starts were made with.
            device: where to.
            dtype: of the frames there.
            batch: B; a block has at least four of them.
            seed: of the dealing.
            block: frames of a block, about.
            piece: frames of a piece, at most.
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
        if device.type == "cuda":
            row = bands * dtype.itemsize + 4 + 8 * labels[0].size  # bytes, with start and labels
            rows_there = torch.cuda.mem_get_info(device)[0] // 5 // row
            block = min(block, rows_there * piece // (piece + 2 * data.k))
        self.blocks = max(1, self.count // max(block, 4 * batch))
        most = -(-len(self._first) // self.blocks)  # pieces of a block
        self._rows = rows = most * (piece + 2 * data.k)
        kind = torch.uint8 if labels.max() < 256 else torch.int16
        pinned = device.type == "cuda"
        self._hosts = [
            (
                torch.empty((rows, bands), pin_memory=pinned),
                torch.empty(rows, dtype=torch.bool, pin_memory=pinned),
                torch.empty((rows, *labels.shape[1:]), dtype=kind, pin_memory=pinned),
                torch.empty(most * piece, dtype=torch.int32, pin_memory=pinned),
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
        self._worker = ThreadPoolExecutor(1)
        self._cards: dict[int, list[NDArray[np.int64]]] = {}  # pieces of each block, by epoch
        self._layouts: dict[tuple[int, int], Future[Layout]] = {}  # by epoch and block

    def begin(self, epoch: int, order: Tensor, generator: torch.Generator) -> None:
        """Start an epoch, whose `order`, (S B,) rows of `split`, is filled block by block.

        Raises:
            InputError: a block has less than a batch.
        """
        self._epoch, self._order, self._generator = epoch, order, generator
        sizes = [int(self._lengths[block].sum()) for block in self._dealt(epoch)]
        if self.blocks > 1 and min(sizes) < self._batch:
            raise InputError(
                f"a block of frames would hold {min(sizes)}, less than train.batch_size: "
                "utterances differ too much in length; set train.shuffle to full"
            )
        self._begins = np.cumsum([0, *sizes])  # in the order
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
        while self._awaited < self.blocks and end > self._begins[self._awaited]:
            if self._awaited == len(self._arrived):
                self._upload()
            arrived = self._arrived[self._awaited]
            if arrived is not None:
                torch.cuda.current_stream().wait_event(arrived)
            self._awaited += 1
        newest = len(self._arrived)
        # half a block early; by now nobody will read the block before the newest one again
        if newest < self.blocks and begin >= self._begins[newest - 1 : newest + 1].mean():
            self._upload()

    def _dealt(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the pieces of each block; at most two epochs are kept."""
        if epoch not in self._cards:
            random = np.random.default_rng((self._seed, epoch))
            kept = {each: cards for each, cards in self._cards.items() if each == epoch - 1}
            self._cards = kept | {epoch: deal(len(self._first), self.blocks, random)}
        return self._cards[epoch]

    def _lay_out_next(self) -> None:
        """Have the block after the newest layout laid out, be it of the next epoch."""
        epoch, number = self._upcoming
        chosen, slot = self._dealt(epoch)[number], self._serial % 2
        unseen = self._serial < self.blocks
        self._layouts[epoch, number] = self._worker.submit(self._lay_out, chosen, slot, unseen)
        self._serial += 1
        self._upcoming = (epoch, number + 1) if number + 1 < self.blocks else (epoch + 1, 0)

    def _lay_out(self, chosen: NDArray[np.int64], slot: int, unseen: bool) -> Layout:
        """Lay pieces out in host memory, once the block that was there has been copied."""
        copied = self._copied[slot]
        if copied is not None:
            copied.synchronize()
        k, piece = self._data.k, self._piece
        first, low, high, lengths = (
            torch.from_numpy(values[chosen])[:, None]
            for values in (self._first, self._low, self._high, self._lengths)
        )
        span = torch.arange(piece + 2 * k)
        size = len(chosen) * len(span)
        wanted = first - k + span  # (pieces, piece + 2 k)
        frames = wanted.clamp(low, high)
        rows, beyond, labels, starts = self._hosts[slot]
        torch.index_select(self._frames, 0, frames.view(-1), out=rows[:size])
        torch.ne(frames, wanted, out=beyond[:size].view(frames.shape))
        if unseen:
            require_finite(rows[:size])
        labels[:size] = self._labels[(first + span).clamp(max=high).view(-1)]
        here = torch.arange(size, dtype=torch.int32).view(len(chosen), -1)[:, :piece]
        valid = here[torch.arange(piece) < lengths]
        starts[: len(valid)] = valid
        return Layout(slot, rows[:size], beyond[:size], labels[:size], starts[: len(valid)])

    def _upload(self) -> None:
        """Copy the next block to the device, in the place of the one before the newest."""
        number = len(self._arrived)
        layout = self._layouts.pop((self._epoch, number)).result()
        first = layout.slot * self._rows
        half = slice(first, first + len(layout.rows))
        begin, end = self._begins[number], self._begins[number + 1]
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
