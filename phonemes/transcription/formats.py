"""Transcripts as text in the formats that phonetic and speech tools read.

TextGrid (Praat, ELAN), CSV, JSON, CTM (NIST sclite, Kaldi) and MLF (HTK). Silence is a phone,
SIL, unless it is to be empty.
"""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO

from phonemes.transcription.ipa import SYMBOLS
from phonemes.transcription.segments import Segment
from phonemes.transcription.transcript import Transcript

SILENCE = ("SIL", "h#", "pau", "epi")


def without_silence(transcript: Transcript) -> Transcript:
    """Return a transcript in which silence is nothing: there are gaps between its phones."""
    phones = [phone for phone in transcript.phones if phone.label not in SILENCE]
    return replace(transcript, phones=tuple(phones))


def with_ipa(transcript: Transcript) -> Transcript:
    """Return a transcript with its phones in IPA too; those of other alphabets stay as they are."""
    phones = [(phone, SYMBOLS.get(phone.label, phone.label)) for phone in transcript.phones]
    return replace(
        transcript, ipa=tuple(phone._replace(label=symbol) for phone, symbol in phones if symbol)
    )


def textgrid(transcript: Transcript, name: str) -> str:
    """Return a TextGrid in Praat's long text format: words and IPA where there are any, phones.

    Ends meet exactly: the end of an interval and the start of the next are the same number.
    """
    tiers = {"words": transcript.words} if transcript.words else {}
    tiers |= {"ipa": transcript.ipa} if transcript.ipa else {}
    tiers |= {"phones": transcript.phones}
    last = _seconds(transcript.duration)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {last}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (tier, segments) in enumerate(tiers.items(), 1):
        intervals = _filled(segments, last)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f'        name = "{tier}"',
            "        xmin = 0",
            f"        xmax = {last}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (start, end, label) in enumerate(intervals, 1):
            quoted = label.replace('"', '""')
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {start}",
                f"            xmax = {end}",
                f'            text = "{quoted}"',
            ]
    return "\n".join(lines) + "\n"


def _filled(segments: Sequence[Segment], last: str) -> list[tuple[str, str, str]]:
    """Return intervals, with empty ones in gaps, from 0 to `last`: starts, ends and labels."""
    found, reached = [], "0"
    for segment in segments:
        start, end = _seconds(segment.start), _seconds(segment.end)
        if start != reached:
            found.append((reached, start, ""))
        found.append((start, end, segment.label))
        reached = end
    if reached != last:
        found.append((reached, last, ""))
    return found


def _seconds(time: float) -> str:
    """Return a time in s, to the microsecond."""
    return f"{time:.6f}".rstrip("0").rstrip(".")


def table(transcript: Transcript, name: str) -> str:
    """Return CSV: start and end in s, phoneme, confidence, and the word where words are known."""
    written = StringIO()
    writer = csv.writer(written, lineterminator="\n")
    words = [*transcript.words]
    writer.writerow(["start", "end", "phoneme", "confidence", *(["word"] if words else [])])
    for phone in transcript.phones:
        row = [_seconds(phone.start), _seconds(phone.end), phone.label, f"{phone.confidence:.4f}"]
        if transcript.words:
            middle = (phone.start + phone.end) / 2
            while words and words[0].end <= middle:
                words.pop(0)
            row.append(words[0].label if words and words[0].start <= middle else "")
        writer.writerow(row)
    return written.getvalue()


def json_text(transcript: Transcript, name: str) -> str:
    """Return JSON: recording, duration, model, phones, and words where they are known."""
    values = {
        "recording": name,
        "duration": round(transcript.duration, 6),
        "model": transcript.model,
        "phones": [_entry(phone, "phoneme") for phone in transcript.phones],
    }
    if transcript.words:
        values["words"] = [_entry(word, "word") for word in transcript.words]
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _entry(segment: Segment, kind: str) -> dict[str, float | str]:
    start, end = (round(time, 6) for time in segment[:2])
    return {
        "start": start,
        "end": end,
        kind: segment.label,
        "confidence": round(segment.confidence, 4),
    }


def ctm(transcript: Transcript, name: str) -> str:
    """Return CTM: recording, channel, start and duration in s, phoneme, confidence."""
    recording = "_".join(name.split())  # fields are separated by spaces
    return "".join(
        f"{recording} 1 {phone.start:.3f} {phone.end - phone.start:.3f} {phone.label} "
        f"{phone.confidence:.4f}\n"
        for phone in transcript.phones
    )


def mlf(transcript: Transcript, name: str) -> str:
    """Return a master label file of HTK: start and end in 100 ns, phoneme, confidence."""
    lines = [
        f"{round(phone.start * 1e7)} {round(phone.end * 1e7)} {phone.label} {phone.confidence:.4f}"
        for phone in transcript.phones
    ]
    quoted = name.replace('"', "'")
    return "\n".join(["#!MLF!#", f'"*/{quoted}.lab"', *lines, "."]) + "\n"


# suffix of the file, and what writes it from a transcript and the recording's name
TEXT: dict[str, tuple[str, Callable[[Transcript, str], str]]] = {
    "textgrid": (".TextGrid", textgrid),
    "csv": (".csv", table),
    "json": (".json", json_text),
    "ctm": (".ctm", ctm),
    "mlf": (".mlf", mlf),
}
