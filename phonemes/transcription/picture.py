"""A recording as a picture: its mel spectrogram with the phonemes below, in rows of seconds."""

from collections.abc import Sequence
from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from phonemes.pictures import FONT, STYLE
from phonemes.transcription.segments import Segment, Track

ROW = 5.0  # s
MOST_ROWS = 120  # of a picture: ten minutes
WIDTH, HEIGHT = 12.0, 1.7  # inches of a row
COLOURS = "magma"
LABELS = 0.35  # height of the phonemes, of that of the spectrogram


@matplotlib.rc_context(STYLE)
def png(phones: Sequence[Segment], duration: float, track: Track, title: str = "") -> bytes:
    """Return the picture of a recording of `duration` s as PNG; of its first ten minutes."""
    rows = min(MOST_ROWS, max(1, int(np.ceil(duration / ROW))))
    seconds = ROW if rows > 1 else max(1.0, duration)
    figure = Figure(figsize=(WIDTH, rows * HEIGHT + 0.5), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    scale = np.percentile(track.frames, [5, 99.5])
    for number, axes in enumerate(figure.subplots(rows, squeeze=False)[:, 0]):
        span = number * seconds, (number + 1) * seconds
        _spectrogram(axes, track, scale, span)
        for phone in phones:
            if phone.end > span[0] and phone.start < span[1]:
                _phone(axes, phone, span)
    axes.set_xlabel("s", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    for text in figure.findobj(Text):
        text.set_fontproperties(FontProperties(fname=FONT, size=text.get_fontsize()))
    figure.tight_layout(pad=0.4)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _spectrogram(axes: Axes, track: Track, scale: np.ndarray, span: tuple[float, float]) -> None:
    """Draw the frames of a span, (start, end) in s: the bands from 0 to 1, phonemes below 0."""
    first, last = (round((time - track.start) / track.stride) for time in span)
    first = max(first, 0)
    frames = track.frames[first:last]
    if len(frames):
        begin = track.start + first * track.stride
        extent = (begin, begin + len(frames) * track.stride, 0, 1)
        image = axes.imshow(frames.T, cmap=COLOURS, aspect="auto", origin="lower", extent=extent)
        image.set_clim(*scale)
    axes.set(xlim=span, ylim=(-LABELS, 1), yticks=[])
    axes.tick_params(labelsize=8)
    axes.set_ylabel(f"{track.frames.shape[1]} mel bands", fontsize=8)


def _phone(axes: Axes, phone: Segment, span: tuple[float, float]) -> None:
    """Draw a phone below the spectrogram, darker the surer it is."""
    start, end = max(phone.start, span[0]), min(phone.end, span[1])
    axes.axvline(phone.start, ymax=LABELS / (1 + LABELS), color="0.6", linewidth=0.6)
    narrow = (end - start) / (span[1] - span[0]) * WIDTH < 0.07 * (1 + len(phone.label))
    axes.text(
        (start + end) / 2,
        -LABELS / 2,
        phone.label,
        fontsize=8,
        ha="center",
        va="center",
        rotation=90 if narrow else 0,
        color=str(0.65 * (1 - phone.confidence)),
    )
