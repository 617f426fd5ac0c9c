"""Recordings that have a text instead of an alignment: the text is aligned by a network."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from phonemes.alignment.align import Batch
from phonemes.alignment.transcripts import Text
from phonemes.corpus.audio.files import listing
from phonemes.corpus.audio.recordings import Found
from phonemes.corpus.params import AudioParams
from phonemes.errors import InputError
from phonemes.wording import counted

Align = Callable[[Sequence[Path], Sequence[Text]], Batch]


def align_texts(found: Found, audio: AudioParams, align: Align, progress: bool) -> Found:
    """Return recordings with the phones of their texts; those that cannot be aligned are left out.

    Args:
        found: the recordings of a corpus.
        audio: corpus.audio: whether what cannot be aligned is left out or refused.
        align: by a network.
        progress: show a bar.

    Raises:
        InputError: says how many cannot be aligned and why the first cannot.
    """
    waiting = {
        each.name: (each.audio, each.text)
        for recordings in found.splits.values()
        for each in recordings
        if each.text is not None
    }
    if not waiting:
        return found
    batch = align(*map(list, zip(*waiting.values(), strict=True)))
    outcomes = tqdm(
        batch.outcomes, "aligning", len(waiting), leave=False, disable=None if progress else True
    )
    aligned, wrong = {}, []
    for name, outcome in zip(waiting, outcomes, strict=True):
        if isinstance(outcome, InputError):
            wrong.append(str(outcome))
        else:
            aligned[name] = outcome.aligned.phones
    if wrong and (audio.unaligned == "refuse" or not aligned):
        raise InputError(
            f"{len(wrong)} of {len(waiting)} texts cannot be aligned with their recordings, the "
            f"first: {wrong[0]}; correct them, or set corpus.audio.unaligned to skip, which leaves "
            "them out"
        )
    splits = {
        split: [
            each if each.text is None else each._replace(phones=aligned[each.name])
            for each in recordings
            if each.text is None or each.name in aligned
        ]
        for split, recordings in found.splits.items()
    }
    return Found(splits, [*found.notes, *_notes(len(aligned), wrong, batch)])


def _notes(count: int, wrong: list[str], batch: Batch) -> list[str]:
    recordings = counted(count, "recording")
    notes = [f"aligned the texts of {recordings} with a network that was trained before"]
    if batch.spelled:
        words = listing(batch.spelled)
        spelled = counted(len(batch.spelled), "word")
        notes.append(f"espeak-ng spelled {spelled} that CMUdict lacks: {words}")
    if wrong:
        notes.append(
            f"left out {counted(len(wrong), 'recording')} whose text cannot be aligned, "
            f"the first: {wrong[0]}"
        )
    return notes
