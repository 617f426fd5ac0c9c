"""Spoken sentences, and pictures of their normalization and of smoothing their posteriors."""

from functools import cache
from itertools import islice
from multiprocessing import get_context

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from docs.generate.colours import BLUE, DARK, MAP, ORANGE
from phonemes.corpus.synthetic.sessions import (
    Recorded,
    Session,
    label_frames,
    record_session,
)
from phonemes.corpus.synthetic.source import plan_sessions
from phonemes.features.log_mel import label_times, log_mel
from phonemes.inventory import ARPABET_STRESS
from phonemes.normalize import map_adapted, normalized, pooled, statistics
from phonemes.transcription.recognizer import Recognizer, open_recognizer
from phonemes.transcription.segments import runs

VOICES, SENTENCES = ("m1", "steph"), 3  # which are drawn, and how many of each
RELEVANCE = 100  # normalize.relevance, as it is by default


@cache
def english() -> Recognizer:
    """Return the model that comes with the package."""
    return open_recognizer(device="cpu")


FEATURES = english().features
RATE = FEATURES.sample_rate


def spoken(session: Session) -> list[Recorded]:
    """Return the first sentences of a voice; this runs in a fresh process."""
    return [*islice(record_session(session, RATE), SENTENCES)]


@cache
def sentences() -> list[Recorded]:
    """Return sentences of two voices of the generated corpus."""
    sessions = [each for each in plan_sessions(45, 11785)["train"] if each.voice in VOICES]
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = pool.map(spoken, sessions, chunksize=1)
    return [each for session in found for each in session]


def sentence() -> Recorded:
    """Return one sentence, of the second voice."""
    return sentences()[-2]


def phones_at(spoken: Recorded, times: NDArray[np.float64]) -> list[str]:
    """Return the phone that is spoken at each of some times in s."""
    return [ARPABET_STRESS[label] for label in label_frames(spoken.speech, times)]


def normalization() -> Figure:
    """Draw the mean of each band of an utterance, and that utterance normalized."""
    spoken = [log_mel(each.samples, FEATURES) for each in sentences()]
    lengths = np.array([len(each) for each in spoken])
    shortest = int(lengths.argmin())
    frames, groups = np.concatenate(spoken), np.arange(len(spoken))
    own = statistics(frames, lengths, groups)
    train = pooled(own, lengths)
    adapted = map_adapted(own, lengths, train, RELEVANCE)
    after = [*normalized(frames, lengths, groups, adapted, variance=True)][shortest]
    share = lengths[shortest] / (lengths[shortest] + RELEVANCE)
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    parts = figure.subplot_mosaic([["means", "before"], ["means", "after"]], width_ratios=[1, 1])
    for values, colour, style, name in (
        (own.mean[shortest], BLUE, "-", f"the utterance, {lengths[shortest]} frames"),
        (train.mean[0], ORANGE, "--", f"the training set, here {lengths.sum():,} frames"),
        (adapted.mean[shortest], DARK, ":", f"{share:.2f} of it, {1 - share:.2f} of the other"),
    ):  # fmt: skip
        parts["means"].plot(values, color=colour, linestyle=style, linewidth=2, label=name)
    parts["means"].set(xlabel="mel band", ylabel="mean of log power", title="statistics")
    parts["means"].legend(frameon=False, fontsize=8)
    for name, shown in (("before", spoken[shortest]), ("after", after)):
        parts[name].imshow(
            shown[:150].T, cmap=MAP, aspect="auto", origin="lower", interpolation="none"
        )
        parts[name].set(xticks=[], yticks=[], ylabel="mel bands")
        parts[name].set_title(f"{name}: {shown.min():.0f} to {shown.max():.0f}")
    return figure


def smoothing() -> Figure:
    """Draw posteriors of the English model before and after smoothing, and their phones."""
    recognizer, spoken = english(), sentence()
    frames = log_mel(spoken.samples, FEATURES)
    raw = recognizer.log_posteriors([frames])
    both = [np.exp(each[0]) for each in (raw, recognizer.smoothed(raw))]
    part = slice(176, 290)
    truth = phones_at(spoken, label_times(len(frames), FEATURES))[part]
    rows = [*dict.fromkeys(label for label in truth if label in recognizer.phonemes)]
    chosen = [recognizer.phonemes.index(label) for label in rows]
    figure = Figure(figsize=(8, 6), layout="constrained")
    for axes, found, name in zip(
        figure.subplots(2, 1), both, ("as the network gives them", "smoothed"), strict=True
    ):
        best = found[part].argmax(1)
        axes.imshow(found[part][:, chosen].T, cmap=MAP, aspect="auto", vmin=0, vmax=1,
                    interpolation="none")  # fmt: skip
        for begin, end in runs([rows.index(label) if label in rows else -2 for label in truth]):
            row = rows.index(truth[begin])
            axes.plot([begin - 0.5, end - 0.5], [row + 0.46] * 2, color=ORANGE, linewidth=3)
        axes.set(yticks=range(len(rows)), yticklabels=rows, xlabel="frames of 10 ms")
        axes.tick_params(length=0, labelsize=8)
        bare = [[name.rstrip("012") for name in names]
                for names in (np.array(recognizer.phonemes)[best], truth)]  # fmt: skip
        right = np.equal(*map(np.array, bare)).mean()
        axes.set_title(
            f"posteriors {name}: {len(runs(best))} phones, {len(runs_of(truth))} were spoken; "
            f"{right:.0%} of frames right, stress aside"
        )
    return figure


def runs_of(labels: list[str]) -> list[tuple[int, int]]:
    """Return the runs of equal labels."""
    return runs([*map(ARPABET_STRESS.index, labels)])
