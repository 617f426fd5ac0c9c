"""The page of one recording: what it sounds and looks like, and its phonemes.

One file that needs no network. The sound lies in it as FLAC, which loses nothing but the bits
below the 16th and starts at its first sample in every browser; from it the browser draws
waveform and spectrogram. All else is JSON, compressed with zlib and written in base64, so that
no text of a user can end the script. Times are seconds, probabilities whole percents.

S samples, T frames, P phonemes, K likeliest phonemes of a frame.
"""

import io
import json
import zlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phonemes.features.sound import Sound, resample
from phonemes.inventory import PHONETIC_GROUPS, fold, phonetic_order, phonetic_place
from phonemes.pages.page import asset, render
from phonemes.pages.reference import Comparison, Tier, compare, plain
from phonemes.transcription.segments import Segment, Track
from phonemes.transcription.transcript import Transcript

RATES = (8000, 24_000)  # Hz; the lowest that all browsers decode to, the highest that is embedded
KEPT = 5  # K
SHOWN = 3  # likeliest phonemes of a segment
KINDS = {  # kind of the phonetic groups, by which phonemes are coloured -> its plural
    "vowel": "vowels",
    "stop": "stops",
    "affricate": "affricates",
    "fricative": "fricatives",
    "nasal": "nasals",
    "approximant": "approximants",
    "silence": "silence",
    "other": "other",
}
_KIND_OF_GROUP = (
    *["vowel"] * 4, "stop", "affricate", "fricative", "nasal", *["approximant"] * 2, "silence",
    "other",
)  # fmt: skip
assert len(_KIND_OF_GROUP) == len(PHONETIC_GROUPS) + 1


def recording_page(
    title: str,
    transcript: Transcript,
    samples: NDArray[np.float32],
    rate: int,
    reference: Sequence[Tier] = (),
) -> str:
    """Return a page that shows and plays a recording with its phonemes.

    Args:
        title: of the page, such as the name of the file.
        transcript: with its track.
        samples: (S,) in [-1, 1].
        rate: Hz.
        reference: tiers to show next to the transcript and, where they hold phonemes, to compare.

    Raises:
        ValueError: the transcript has no track.
    """
    if transcript.track is None:
        raise ValueError("a page needs the track of its transcript")
    sound = _embedded(Sound(samples, rate))
    compared = [(tier, compare(transcript.phones, tier)) for tier in reference]
    compared.sort(key=lambda both: both[1] is None)  # next to the phonemes what is compared
    kinds = _kinds(transcript.phones, transcript.track, compared)
    data = {
        "duration": transcript.duration,
        "rate": sound.rate,
        "phones": _phone_rows(transcript.phones, transcript.track),
        "words": [[*_times(word), word.label] for word in transcript.words],
        "tiers": [_tier_data(tier, found) for tier, found in compared],
        "kinds": kinds,
        "track": _track_data(transcript.track),
    }
    page = render(
        "recording.html",
        title=title,
        transcript=transcript,
        reference=compared,
        legend={name: plural for name, plural in KINDS.items() if name in kinds.values()},
        sound=b64encode(flac(sound)).decode(),
        data=packed(data),
        style=asset("recording.css"),
        scripts={name: asset(f"{name}.js") for name in ("spectrogram", "rows", "recording")},
    )
    return page.encode("utf-8", "replace").decode()  # names of files may hold what is no Unicode


def kind(name: str) -> str:
    """Return the kind of a phoneme: a key of KINDS."""
    return _KIND_OF_GROUP[phonetic_place(name)[0]]


def flac(sound: Sound) -> bytes:
    """Return a sound as FLAC of 16 bits; what exceeds [-1, 1] is clipped."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(sound.samples, -1, 1), sound.rate, "PCM_16", format="FLAC")
    return file.getvalue()


def packed(data: object) -> str:
    """Return data as the script of the page reads it: JSON, compressed, in base64."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode()


def _embedded(sound: Sound) -> Sound:
    """Return a sound at a rate that all browsers take and that is no higher than one hears."""
    rate = min(max(sound.rate, RATES[0]), RATES[1])
    return Sound(resample(sound, rate), rate)


def _times(item: Segment) -> tuple[float, float]:
    return round(item.start, 4), round(item.end, 4)


def _percent(probability: float) -> int:
    return round(100 * probability)


def _kinds(
    phones: Sequence[Segment], track: Track, compared: Sequence[tuple[Tier, Comparison | None]]
) -> dict[str, str]:
    """Return the kind of each phoneme of the page, by its name there."""
    kinds = {name: kind(name) for name in (*track.phonemes, *(phone.label for phone in phones))}
    for tier, found in compared:
        if found:
            kinds |= {each.text: kind(plain(each.text)) for each in tier.intervals}
    return kinds


def _phone_rows(phones: Sequence[Segment], track: Track) -> list[list[object]]:
    """Return start, end, label and confidence of each phone, and its likeliest phonemes."""
    names, percents = likeliest(phones, track)
    return [
        [*_times(phone), phone.label, _percent(phone.confidence), [*zip(*both, strict=True)]]
        for phone, *both in zip(phones, names, percents, strict=True)
    ]


def likeliest(phones: Sequence[Segment], track: Track) -> tuple[list[list[str]], list[list[int]]]:
    """Return the names and percents of each segment's likeliest phonemes, likeliest first.

    That is, by the mean of the posteriors over the frames whose middle is in the segment, or of
    the nearest frame where there is none.
    """
    frames = len(track.log_posteriors)
    times = np.array([(phone.start, phone.end) for phone in phones]).reshape(-1, 2)
    bounds = np.ceil((times - track.start) / track.stride - 0.5).astype(np.int64)
    first = np.clip(bounds[:, 0], 0, frames - 1)
    last = np.clip(bounds[:, 1], first + 1, frames)
    sums = np.zeros((frames + 1, len(track.phonemes)))
    np.cumsum(np.exp(track.log_posteriors), axis=0, dtype=np.float64, out=sums[1:])
    means = (sums[last] - sums[first]) / (last - first)[:, None]  # (segments, P)
    order = np.argsort(-means, axis=1, kind="stable")[:, :SHOWN]
    percents = np.rint(100 * np.take_along_axis(means, order, 1)).astype(int)
    return [[track.phonemes[label] for label in row] for row in order], percents.tolist()


def _tier_data(tier: Tier, found: Comparison | None) -> dict[str, Any]:
    """Return a tier's intervals, whether each differs, and the times that differ."""
    differs: Iterable[bool] = found.differs if found else [False] * len(tier.intervals)
    return {
        "name": tier.name,
        "compared": found is not None,
        "intervals": [
            [round(each.start, 4), round(each.end, 4), each.text, other]
            for each, other in zip(tier.intervals, differs, strict=True)
        ],
        "differences": [[round(a, 4), round(b, 4)] for a, b in found.differences] if found else [],
    }


def _track_data(track: Track) -> dict[str, Any]:
    """Return the K likeliest phonemes of each frame, and the rows in which they are drawn.

    `labels` and `percents` are (K, T); phonemes with the same row differ in their stress.
    """
    posteriors = np.exp(track.log_posteriors)  # (T, P)
    labels = np.argsort(-posteriors, axis=1, kind="stable")[:, :KEPT]
    percents = np.rint(100 * np.take_along_axis(posteriors, labels, 1)).astype(int)
    folded = fold(track.phonemes) or track.phonemes
    seen = np.unique(labels[percents > 0])
    rows = [
        *dict.fromkeys(folded[label] for label in phonetic_order(track.phonemes) if label in seen)
    ]
    return {
        "start": track.start,
        "stride": track.stride,
        "phonemes": track.phonemes,
        "rows": [[name, kind(name)] for name in rows],
        "row": [rows.index(name) if name in rows else 0 for name in folded],
        "labels": np.where(percents > 0, labels, 0).T.tolist(),
        "percents": percents.T.tolist(),
    }
