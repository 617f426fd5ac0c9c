"""The phonemes of a recording, as people want to see them: a table, a picture, pandas."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phonemes.transcription.segments import Segment, Track

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Transcript:
    """The phonemes of a recording in order; each begins where the one before ends.

    The first begins at 0, the last ends at `duration`; silence is a phoneme, SIL.
    """

    phones: tuple[Segment, ...]
    duration: float  # s of the recording
    model: str  # what labelled it, for people: "english" or the path of a model file
    words: tuple[Segment, ...] = ()  # where they are known; silence between them has no entry
    track: Track | None = None  # None where it was not kept, as for hours of sound
    ipa: tuple[Segment, ...] = ()  # the phones in IPA, where they are wanted; no silence

    def __str__(self) -> str:
        """Return a table for a terminal, a phoneme a line."""
        lines = [f"{'start, s':>9} {'end, s':>9}  {'phoneme':<8} confidence"]
        lines += [
            f"{phone.start:9.3f} {phone.end:9.3f}  {phone.label:<8} {phone.confidence:10.2f}"
            for phone in self.phones
        ]
        return "\n".join(lines)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a row for each phoneme: start and end (s), phoneme, confidence (0 to 1)."""
        import pandas as pd

        return pd.DataFrame(self.phones, columns=["start", "end", "phoneme", "confidence"])

    def _repr_png_(self) -> bytes | None:
        """Return the picture that a notebook shows; None, so that it prints, without a track."""
        if self.track is None:
            return None
        from phonemes.transcription.picture import png  # not above: matplotlib

        return png((self.phones, self.words), self.duration, self.track)
