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

from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonemes.context import DataParams
from phonemes.errors import InputError
from phonemes.inference.windows import DeviceSplit, StoredForm, as_tensor, stored_dtype
from phonemes.storage.layout import HostSplit
from phonemes.training.blocks import BlockQueue, HostMemory, LayoutPlan, cut
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


def fits(split: HostSplit, device: torch.device, dtype: torch.dtype, share: float = 1.0) -> bool:
    """Return whether a share of the frames of a split, (N, C), fits in the memory of the device."""
    if device.type != "cuda":
        return True
    frames, starts, labels, _ = split
    assert labels is not None
    needed = (int(starts[-1]) + 1) * frames.shape[1] * stored_dtype(frames, dtype).itemsize
    needed += starts.nbytes + max(labels.nbytes, 8 * len(labels))
    return share * needed < RESIDENT_SHARE * memory_of(device)


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
        utterances: NDArray[np.bool_] | None = None,
    ) -> None:
        """Make room for two blocks.

        Args:
            host: the split; frames may be memory-mapped, labels are (N,) or (N, D).
            data: the k and padding that its starts were made with.
            device: where to.
            dtype: of windows.
            batch: B; a block is trained on for at least four of them.
            seed: of the dealing, and of the order of frames.
            block: frames of a block, about.
            piece: frames of a piece, at most.
            turns: in which all frames pass by in an epoch.
            utterances: (U,) which of them; None: all.
        """
        frames, starts, labels, scales = host
        assert labels is not None
        form = StoredForm.of(frames, scales, device, dtype)
        bands = frames.shape[1]
        self.generator = torch.Generator(device).manual_seed(seed)
        self._data, self._batch = data, batch
        pieces = cut(starts, piece, utterances)
        self.count = int(pieces.lengths.sum())
        sizes = pieces.lengths + 2 * data.k  # rows of each piece
        pinned = device.type == "cuda"
        if pinned:
            # bytes, with start and labels
            row = bands * form.dtype.itemsize + 4 + 8 * labels[0].size
            rows_there = memory_of(device) // 5 // row
            block = min(block, rows_there * self.count // int(sizes.sum()))
        dealt = max(1, self.count // max(block, 4 * batch))  # blocks of a turn
        self.turns = min(turns, max(1, block // (4 * batch))) if dealt > 1 else 1
        self.blocks = dealt * self.turns  # of an epoch
        # of a block, at most: as in `deal`, of each run of neighbours it gets one
        self._rows = rows = int(np.maximum.reduceat(sizes, np.arange(0, len(sizes), dealt)).sum())
        kind = torch.uint8 if labels.max() < 256 else torch.int16
        memory = HostMemory.of(rows, as_tensor(frames), labels.shape[1:], kind, pinned)
        self._plan = LayoutPlan(frames, as_tensor(labels), pieces, data.k, piece, self.turns)
        dealing = derived(seed, "dealing of pieces")
        self.queue = BlockQueue(self._plan, memory, self.blocks, dealing, dtype)
        self._padded = torch.zeros((2 * rows, bands), device=device, dtype=form.dtype)
        self.split = DeviceSplit(
            self._padded.as_strided((2 * rows - 2 * data.k, (2 * data.k + 1) * bands), (bands, 1)),
            torch.arange(2 * rows, dtype=torch.int32, device=device),
            torch.zeros(
                (2 * rows, *labels.shape[1:]),
                dtype=torch.int64 if labels.ndim == 1 else kind,
                device=device,
            ),
            form.scales,
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
            if end == self.count:  # the last batches are filled up with frames that are there
                extra = len(self._order) - self.count
                again = max(self.count - max(extra, self._batch), self.begins[max(number - 1, 0)])
                there = self._order[again : self.count].clone()
                for place in range(self.count, len(self._order), len(there)):
                    self._order[place : place + len(there)] = there[: len(self._order) - place]
            event = self._side.record_event() if self._side else None
        self._arrived.append(event)
        self.queue.copied(layout.slot, event)
