"""The frames of a search on the device, there once for all its trainings.

Windows of any k are views of the same frames: between utterances lie as many rows of padding as
the widest window needs, of which narrower ones see a part. Normalized in another way, frames
are others; the last few ways stay on the device.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from phonemes.context import DataParams
from phonemes.errors import InputError
from phonemes.inference.device import choose_precision
from phonemes.inference.windows import DeviceSplit, to_device
from phonemes.normalize import NormalizeParams
from phonemes.params import Params
from phonemes.search.corpus import Corpus, host_split, normalized_splits
from phonemes.search.halves import choosing_half
from phonemes.storage.layout import Labels
from phonemes.training.augmentation import reached_context
from phonemes.training.batches import ResidentBatches
from phonemes.training.params import FitParams
from phonemes.training.run import Batches, Run
from phonemes.training.seeds import derived
from phonemes.training.streaming import fits
from phonemes.training.targets import targets

Key = TypeVar("Key")
Value = TypeVar("Value")

KEPT = 4  # ways to normalize and pad, and numbers of targets, that stay on the device


NewRun = Callable[[Batches, DeviceSplit, Labels, int, torch.dtype, FitParams], Run]
"""Returns a run on frames of a device: `phonemes.training.prepare.new_run`."""


class Splits(NamedTuple):
    """What a network learns from, is chosen on, and is reported on."""

    train: DeviceSplit  # without labels
    choosing: DeviceSplit
    reporting: DeviceSplit


class Resident:
    """A corpus on the device, for windows of up to 2k + 1 frames; several threads may share it."""

    def __init__(self, corpus: Corpus, device: torch.device, k: int, new_run: NewRun) -> None:
        """Put nothing there yet: the first run of a kind does."""
        self.corpus, self.device, self._k, self._new_run = corpus, device, k, new_run
        self._choosing = choosing_half(corpus.dev.speakers, corpus.dev.lengths)
        self._splits: OrderedDict[tuple[NormalizeParams, str, torch.dtype], Splits] = OrderedDict()
        self._labels: OrderedDict[int, Tensor] = OrderedDict()
        self._lock = threading.Lock()  # of both

    @property
    def bands(self) -> int:
        """Return C."""
        return self.corpus.train.frames.shape[1]

    def half_sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return speakers, 0 where unknown, and frames of the choosing and the reporting half."""
        dev, sizes = self.corpus.dev, []
        for half in (self._choosing, ~self._choosing):
            speakers = {who for who, there in zip(dev.speakers, half, strict=True) if there and who}
            sizes.append((len(speakers), int(dev.lengths[half].sum())))
        return sizes[0], sizes[1]

    def new_run(self, params: Params) -> tuple[Run, DeviceSplit]:
        """Return a run that is ready to start, and the half of dev to report on.

        It learns what the train stage's does with these parameters; its dev is the choosing half.

        Raises:
            InputError: as `phonemes.training.prepare.prepare`.
        """
        fit = params.fit
        dtype = choose_precision(params.model.precision, self.device)
        with self._lock:
            splits = self._splits_of(params.normalize, fit.data.padding, dtype)
            labels = self._labels_of(reached_context(fit.model.target_context, fit.augment))
        train, choosing, reporting = (self._narrowed(split, fit.data.k) for split in splits)
        seed = derived(fit.train.seed, "order of frames")
        batches = ResidentBatches(train._replace(labels=labels), seed)
        learnt, classes = self.corpus.train.labels, self.corpus.classes
        return self._new_run(batches, choosing, learnt, classes, dtype, fit), reporting

    def _splits_of(self, normalize: NormalizeParams, padding: str, dtype: torch.dtype) -> Splits:
        key = (normalize, padding, dtype)
        if key not in self._splits:
            data = DataParams(self._k, padding)
            train, dev = (
                host_split(split, data)
                for split in normalized_splits((self.corpus.train, self.corpus.dev), normalize)
            )
            if not fits(train, self.device, dtype):
                raise InputError(
                    "the training set does not fit the device, where a search keeps it; search on "
                    "a part of the corpus, or on a GPU with more memory"
                )
            where = (data, self.device, dtype)
            self._splits[key] = Splits(
                to_device(train._replace(labels=None), *where),
                to_device(dev, *where, self._choosing),
                to_device(dev, *where, ~self._choosing),
            )
            self._arrived()
        return _latest(self._splits, key)

    def _labels_of(self, context: int) -> Tensor:
        """Return the labels of the frames within `context` of each frame of the training set."""
        if context not in self._labels:
            data = DataParams(self._k, "zero")
            _, starts, labels, _ = host_split(self.corpus.train, data)
            assert labels is not None
            made = torch.tensor(targets(labels, starts, context) if context else labels)
            made = made if context else made.to(torch.int64)
            self._labels[context] = made.to(self.device)
            self._arrived()
        return _latest(self._labels, context)

    def _arrived(self) -> None:
        """Wait until what was copied is there: it is used on other streams too."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _narrowed(self, split: DeviceSplit, k: int) -> DeviceSplit:
        """Return a split for windows of 2k + 1 frames, over the same frames."""
        inside, bands = self._k - k, split.bands
        rows = len(split.windows) + 2 * inside
        return split._replace(
            windows=split.windows.as_strided((rows, (2 * k + 1) * bands), (bands, 1)),
            starts=split.starts + inside,
        )


def _latest(kept: OrderedDict[Key, Value], key: Key) -> Value:
    """Return a value and have it kept longest; forget what was not asked for longest."""
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[key]
