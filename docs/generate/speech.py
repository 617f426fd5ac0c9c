"""Pictures of the normalization of speech and of smoothing its posteriors."""

from functools import cache

import numpy as np
from matplotlib.figure import Figure

from docs.generate.colours import BLUE, DARK, MAP, ORANGE
from docs.generate.voices import phones_at, sentence, sentences
from phonemes.corpus.synthetic.sessions import Recorded
from phonemes.features.log_mel import label_times, log_mel
from phonemes.inventory import ARPABET_STRESS
from phonemes.normalize import map_adapted, normalized, pooled, statistics
from phonemes.storage.layout import Frames
from phonemes.transcription.recognizer import Recognizer, open_recognizer
from phonemes.transcription.segments import runs

RELEVANCE = 100  # normalize.relevance, as it is by default


@cache
def english() -> Recognizer:
    """Return the model that comes with the package."""
    return open_recognizer(device="cpu")


def frames_of(spoken: Recorded) -> Frames:
    """Return the log-mel frames of a sentence, (T, C), as that model takes them."""
    return log_mel(spoken.samples, english().features)


def normalization() -> Figure:
    """Draw the mean of each band of an utterance, and that utterance normalized."""
    spoken = [frames_of(each) for each in sentences()]
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
    frames = frames_of(spoken)
    raw = recognizer.log_posteriors([frames])
    both = [np.exp(each[0]) for each in (raw, recognizer.smoothed(raw))]
    part = slice(176, 290)
    truth = phones_at(spoken, label_times(len(frames), recognizer.features))[part]
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
