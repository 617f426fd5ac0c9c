"""Cepstral mean and variance normalization, over utterances, speakers or the training set.

The mean of a group of frames is subtracted from each coefficient, which is then divided by
the group's standard deviation, if asked. Groups never cross splits; with `over: corpus` the
only group is the training set, and its statistics normalize dev and test too. (Viikki
and Laurila, 1998, "Cepstral domain segmental feature vector normalization for noise robust
speech recognition", Speech Communication 25.)

An utterance of a few seconds has few phonemes, and its statistics depend on these as much as
on the speaker. Maximum a posteriori adaptation moves them towards those of the training set,
which weigh as much as a number of frames, the relevance factor: the statistics are those of
the group's frames and as many more whose mean and deviation are those of the training set,
both the mean and the variance about that mean. (Gauvain and Lee, 1994, "Maximum a posteriori
estimation for multivariate Gaussian mixture observations of Markov chains", IEEE Transactions
on Speech and Audio Processing 2, for one Gaussian with a normal-Wishart prior.)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from phonemes.errors import InputError
from phonemes.schema import Choice, Number
from phonemes.storage.frames import FORMS, narrowed
from phonemes.storage.layout import Frames, Scales, StoredFrames
from phonemes.storage.parts import Part, in_threads, parts, rows_of
from phonemes.storage.scales import best_scales, magnitude_counts

Result = TypeVar("Result")


@dataclass(frozen=True)
class Normalization:
    """Cepstral mean and variance normalization: what a model's frames were normalized by."""

    over: Annotated[str, Choice(("utterance", "speaker", "corpus", "none"))]
    variance: bool
    relevance: Annotated[float, Number(0, 1_000_000_000, usual=(0, 1000))]  # frames


@dataclass(frozen=True)
class NormalizeParams(Normalization):
    """How frames are normalized, and stored."""

    storage: Annotated[str, Choice(tuple(FORMS))]

    @property
    def normalization(self) -> Normalization:
        """Return how frames are normalized, in whatever form they are stored."""
        return Normalization(self.over, self.variance, self.relevance)


SMALLEST_DEVIATION = 1e-5  # a constant coefficient stays near 0 instead of dividing by 0
SAMPLE = 2**20  # frames, about, that the scales of 8 bits are chosen for


class Statistics(NamedTuple):
    """Mean and standard deviation of each group's coefficients."""

    mean: NDArray[np.float64]  # (G, C)
    deviation: NDArray[np.float64]  # (G, C), at least SMALLEST_DEVIATION


def utterances(frames: Frames, lengths: NDArray[np.integer]) -> Iterator[Frames]:
    """Yield each utterance's frames, (T, C), out of those of a split, (N, C)."""
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends, strict=True):
        yield frames[start:end]


def group_utterances(over: str, speakers: Sequence[str]) -> NDArray[np.intp]:
    """Return the group of each utterance of a split, (U,), 0 to G - 1.

    Args:
        over: utterance (each its own group), speaker, or corpus and none (one group).
        speakers: (U,) names, "" where unknown.

    Raises:
        InputError: names the first utterance whose speaker is needed and unknown.
    """
    if over == "utterance":
        return np.arange(len(speakers))
    if over != "speaker":
        return np.zeros(len(speakers), np.intp)
    if "" in speakers:
        raise InputError(
            f"the speaker of utterance {list(speakers).index('')} is unknown; "
            "set normalize.over to utterance or corpus"
        )
    return np.unique(speakers, return_inverse=True)[1]


def identity(bands: int) -> Statistics:
    """Return statistics of one group that leave frames of C = `bands` coefficients as they are."""
    return Statistics(np.zeros((1, bands)), np.ones((1, bands)))


def statistics(
    frames: Frames, lengths: NDArray[np.integer], groups: NDArray[np.integer], jobs: int = 1
) -> Statistics:
    """Return the statistics of each group of utterances, in float64.

    The deviation is that from the group's own mean: nothing of one group reaches another.
    Sums of utterances are added in their order, whatever the number of threads.

    Args:
        frames: (N, C) of one split.
        lengths: (U,) frames in each utterance.
        groups: (U,) the group of each utterance, 0 to G - 1, none without an utterance.
        jobs: threads, 0 for one a core.
    """
    count = np.bincount(groups, weights=lengths)[:, None]  # (G, 1)
    total = np.zeros((len(count), frames.shape[1]))
    squares = np.zeros_like(total)

    def sum_of(_group: int, utterance: Frames) -> NDArray[np.float64]:
        return utterance.sum(0, dtype=np.float64)

    def squares_of(group: int, utterance: Frames) -> NDArray[np.float64]:
        centred = utterance - mean[group]
        return np.einsum("tc,tc->c", centred, centred)

    for group, found in zip(groups, _each(sum_of, frames, lengths, groups, jobs), strict=True):
        total[group] += found
    mean = total / count
    for group, found in zip(groups, _each(squares_of, frames, lengths, groups, jobs), strict=True):
        squares[group] += found
    return Statistics(mean, np.maximum(np.sqrt(squares / count), SMALLEST_DEVIATION))


def _each(
    function: Callable[[int, Frames], Result],
    frames: Frames,
    lengths: NDArray[np.integer],
    groups: NDArray[np.integer],
    jobs: int,
) -> Iterator[Result]:
    """Yield a function of each utterance's group and frames, in order, from several threads."""

    def of_part(part: Part) -> list[Result]:
        own = utterances(rows_of(frames, part.frames), lengths[part.utterances])
        return [*map(function, groups[part.utterances], own)]

    for results in in_threads(of_part, parts(lengths), jobs):
        yield from results


def pooled(given: Statistics, frames: NDArray[np.integer]) -> Statistics:
    """Return one group's statistics: the mean of all frames, and the deviation within groups.

    Args:
        given: of G groups.
        frames: (G,) number of frames of each.
    """
    mean, variance = (
        np.average(values, axis=0, weights=frames, keepdims=True)
        for values in (given.mean, given.deviation**2)
    )
    return Statistics(mean, np.sqrt(variance))


def map_adapted(
    given: Statistics, frames: NDArray[np.integer], prior: Statistics, relevance: float
) -> Statistics:
    """Return statistics of G groups, moved towards a prior.

    With a = n / (n + relevance) for a group of n frames, its mean m and deviation s become
    a m + (1 - a) m' and the root of a s^2 + (1 - a) s'^2 + a (1 - a) (m - m')^2.

    Args:
        given: the groups' own.
        frames: (G,) number of frames of each group.
        prior: of one group, m' and s'.
        relevance: weight of the prior, in frames.
    """
    own, of_prior = (
        (weight / (frames + relevance))[:, None] for weight in (frames, np.float64(relevance))
    )
    mean = own * given.mean + of_prior * prior.mean
    variance = own * given.deviation**2 + of_prior * prior.deviation**2
    variance += own * of_prior * (given.mean - prior.mean) ** 2
    return Statistics(mean, np.sqrt(variance))


def split_statistics(
    frames: Frames,
    lengths: NDArray[np.integer],
    groups: NDArray[np.integer],
    params: Normalization,
    train: Statistics | None,
    jobs: int = 1,
) -> tuple[Statistics, Statistics]:
    """Return the statistics of each group of this split, and the pooled ones of the training set.

    Args:
        frames: (N, C) of the split.
        lengths: (U,) frames in each utterance.
        groups: (U,) from `group_utterances`.
        params: over which frames, and the relevance factor.
        train: pooled statistics of the training set; None where the split is the training set.
        jobs: threads, 0 for one a core.
    """
    if params.over == "none":
        unchanged = identity(frames.shape[1])
        return unchanged, unchanged
    if params.over == "corpus" and train is not None:  # frames of dev and test never count
        return train, train
    own, sizes = statistics(frames, lengths, groups, jobs), np.bincount(groups, lengths)
    if train is None:
        train = pooled(own, sizes)
    return map_adapted(own, sizes, train, params.relevance), train


def normalized(
    frames: Frames,
    lengths: NDArray[np.integer],
    groups: NDArray[np.integer],
    given: Statistics,
    *,
    variance: bool,
) -> Iterator[Frames]:
    """Yield each utterance of a split, (T, C) float32, normalized with its group's statistics."""
    for group, utterance in zip(groups, utterances(frames, lengths), strict=True):
        centred = utterance - given.mean[group]  # float64: a large mean costs no digits
        yield (centred / given.deviation[group] if variance else centred).astype(np.float32)


class Normalizer(NamedTuple):
    """A split, and how its frames are normalized."""

    frames: Frames  # (N, C)
    lengths: NDArray[np.integer]  # (U,) frames in each utterance
    groups: NDArray[np.integer]  # (U,) from `group_utterances`
    given: Statistics  # of the groups
    params: NormalizeParams

    def scales(self, jobs: int = 1) -> Scales | None:
        """Return the scales of 8 bits that cost this split least; None for another form.

        Of a large split, every so many parts stand for all.
        """
        if self.params.storage != "int8":
            return None
        every = parts(self.lengths)
        some = every[:: max(1, len(self.frames) // SAMPLE)]
        made = in_threads(lambda part: np.concatenate([*self._normalized(part)]), some, jobs)
        return best_scales(magnitude_counts(made, self.frames.shape[1]))

    def stored(self, scales: Scales | None, jobs: int = 1) -> Iterator[StoredFrames]:
        """Yield the normalized frames in the form in which they are stored, run by run.

        Args:
            scales: of the training set.
            jobs: threads, 0 for one a core.
        """

        def ready(part: Part) -> StoredFrames:
            form = self.params.storage
            return np.concatenate(
                [narrowed(utterance, form, scales) for utterance in self._normalized(part)]
            )

        return in_threads(ready, parts(self.lengths), jobs)

    def _normalized(self, part: Part) -> Iterator[Frames]:
        frames, own = rows_of(self.frames, part.frames), part.utterances
        variance = self.params.variance
        return normalized(
            frames, self.lengths[own], self.groups[own], self.given, variance=variance
        )
