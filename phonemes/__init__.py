"""Frame-level phoneme classification with feed-forward networks.

The library behind the pipeline's stages: arrays in, arrays out. The alphabet
of shapes used by every docstring:

T  frames of one utterance        N  frames of a split
U  utterances of a split          C  coefficients (mel bands) of a frame
k  context frames on each side    W  frames of a window, 2k + 1
B  frames of a batch              P  phonemes

`phonemes.transcribe(samples, rate)` labels a recording.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phonemes.transcription.transcribe import transcribe as transcribe
    from phonemes.transcription.transcript import Transcript as Transcript


def __getattr__(name: str) -> Any:
    """Return what the package offers; it is imported when it is used, since it needs torch."""
    if name == "transcribe":
        from phonemes.transcription.transcribe import transcribe

        return transcribe
    if name == "Transcript":
        from phonemes.transcription.transcript import Transcript

        return Transcript
    raise AttributeError(f"module 'phonemes' has no attribute {name!r}")
