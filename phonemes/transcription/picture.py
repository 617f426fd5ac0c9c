"""A recording as a picture: its mel spectrogram, phonemes and words below, in rows of seconds."""

from collections.abc import Sequence
from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from phonemes.pictures import FONT, STYLE, hertz_ticks
from phonemes.transcription.segments import Segment, Track

ROW = 5.0  # s
MOST_ROWS = 120  # of a picture: ten minutes
WIDTH, HEIGHT = 12.0, 1.7  # inches of a row
COLOURS = "magma"
LABELS = 0.35  # height of the phonemes, and of the words, of that of the spectrogram


@matplotlib.rc_context(STYLE)
def png(
    tiers: Sequence[Sequence[Segment]], duration: float, track: Track, title: str = ""
) -> bytes:
    """Return the picture of a recording as PNG; of its first ten minutes.

    Args:
        tiers: what is shown below each other: phonemes, and words where they are known.
        duration: s of the recording.
        track: its frames.
        title: above it.
    """
    tiers = [tier for tier in tiers if tier]
    rows = min(MOST_ROWS, max(1, int(np.ceil(duration / ROW))))
    seconds = ROW if rows > 1 else max(1.0, duration)
    height = HEIGHT * (1 + LABELS * len(tiers)) / (1 + LABELS)
    figure = Figure(figsize=(WIDTH, rows * height + 0.5), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    scale = np.percentile(track.frames, [5, 99.5])
    for number, axes in enumerate(figure.subplots(rows, squeeze=False)[:, 0]):
        span = number * seconds, (number + 1) * seconds
        _spectrogram(axes, track, scale, span)
        axes.set(xlim=span, ylim=(-LABELS * len(tiers), 1))
        for number, tier in enumerate(tiers):
            for segment in tier:
                if segment.end > span[0] and segment.start < span[1]:
                    _segment(axes, segment, span, -LABELS * number)
    axes.set_xlabel("s; the lighter a label, the less confident", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    for text in figure.findobj(Text):
        text.set_fontproperties(FontProperties(fname=FONT, size=text.get_fontsize()))
    figure.tight_layout(pad=0.4)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _spectrogram(axes: Axes, track: Track, scale: np.ndarray, span: tuple[float, float]) -> None:
    """Draw the frames of a span, (start, end) in s: the bands from 0 to 1."""
    first, last = (round((time - track.start) / track.stride) for time in span)
    first = max(first, 0)
    frames = track.frames[first:last]
    if len(frames):
        begin = track.start + first * track.stride
        extent = (begin, begin + len(frames) * track.stride, 0, 1)
        image = axes.imshow(frames.T, cmap=COLOURS, aspect="auto", origin="lower", extent=extent)
        image.set_clim(*scale)
    places, names = hertz_ticks(track.bands) if track.bands else (np.zeros(0), [])
    axes.set_yticks((places + 0.5) / track.frames.shape[1], names)
    axes.tick_params(labelsize=8)
    axes.set_ylabel("Hz" if names else "bands", fontsize=8)


def _segment(axes: Axes, segment: Segment, span: tuple[float, float], top: float) -> None:
    """Draw a phone or a word below the spectrogram, darker the surer it is."""
    start, end = max(segment.start, span[0]), min(segment.end, span[1])
    for edge in (segment.start, segment.end):
        axes.plot([edge, edge], [top - LABELS, top], color="0.6", linewidth=0.6)
    narrow = (end - start) / (span[1] - span[0]) * WIDTH < 0.07 * (1 + len(segment.label))
    axes.text(
        (start + end) / 2,
        top - LABELS / 2,
        segment.label,
        fontsize=8,
        ha="center",
        va="center",
        rotation=90 if narrow else 0,
        color=str(0.65 * (1 - segment.confidence)),
    )
