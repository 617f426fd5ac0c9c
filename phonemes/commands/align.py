"""`phonemes align`: when the words of a text, and their phonemes, are spoken in a recording."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonemes.commands import options
from phonemes.errors import InputError
from phonemes.wording import counted

if TYPE_CHECKING:
    from phonemes.alignment.lexicon import Lexicon
    from phonemes.transcription.outputs import Job

SHOWN = 50  # words that a lexicon lacks, at most


@click.command(epilog="Example: phonemes align data/raw/mine --lexicon names.dict --missing")
@click.argument("source", type=click.Path(path_type=Path), metavar="SOUND|FOLDER")
@click.argument("text", type=click.Path(path_type=Path), required=False)
@click.option(
    "--to",
    default="textgrid",
    show_default=True,
    metavar="FORMATS",
    help=options.FORMATS,
)
@options.out
@click.option(
    "--lexicon",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Pronunciations as CMUdict has them, WORD PH PH ...; they replace CMUdict's.",
)
@options.model
@options.silence
@options.ipa
@click.option("--accept-misfits", is_flag=True, help="Align texts that do not fit all the same.")
@options.missing
@options.overwrite
@options.device
def align(
    source: Path,
    text: Path | None,
    to: str,
    out: Path | None,
    lexicon: Path | None,
    model: str | None,
    silence: str,
    ipa: bool,
    accept_misfits: bool,
    missing: bool,
    overwrite: bool,
    device: str,
) -> None:
    """Find when the words of a text, and their phonemes, are spoken.

    TEXT is what is said in SOUND, in English. Without it, and for each recording of a FOLDER, it
    is in NAME.txt or NAME.lab next to NAME.wav, or in LibriSpeech's .trans.txt. Words that neither
    CMUdict nor --lexicon has are spelled by espeak-ng and listed at the end. A text that was not
    spoken is refused, from the word on at which it goes wrong. A folder goes on after a recording
    that fails, and lists those at the end.
    """
    from phonemes.alignment.aligner import aligner_of
    from phonemes.alignment.dictionary import read_lexicons
    from phonemes.alignment.transcripts import read_text, texts_of
    from phonemes.features.sound import require_libraries
    from phonemes.transcription.outputs import formats_of, write
    from phonemes.transcription.recognizer import choose_model, open_recognizer
    from phonemes.transcription.transcript import Transcript

    require_libraries("phonemes align")
    if ipa and "textgrid" not in formats_of(to):
        raise InputError("--ipa is for TextGrids; add textgrid to --to")
    found = jobs_of(source, text, to, out, missing, overwrite)
    sounds = [Path(job.sound) for job in found]
    texts = [*texts_of(sounds)] if text is None else [read_text(text)]
    words = read_lexicons(lexicon)
    chosen = choose_model(model)
    click.echo(f"model: {chosen.name} ({chosen.why})", err=True)
    recognizer = open_recognizer(chosen.name, device)
    spelled, outcomes = aligner_of(recognizer).align_all(
        sounds, texts, words, accept=accept_misfits
    )
    failed, seconds, words_found = [], 0.0, 0
    pairs = zip(found, outcomes, strict=True)
    with options.progress(pairs, len(found), [to]) as bar:
        for job, outcome in bar:
            if isinstance(outcome, InputError):
                failed.append(str(outcome))
                continue
            (phones, spoken, _, misfit), track, samples = outcome
            if misfit:
                bar.write(f"{job.sound} does not fit its text {misfit}", sys.stderr)
            transcript = Transcript(
                phones, len(samples) / recognizer.rate, chosen.name, spoken, track
            )
            write(job, transcript, samples, recognizer.rate, silence, ipa)
            seconds += transcript.duration
            words_found += len(spoken)
    if spelled:
        click.echo(listed(spelled), err=True)
    if len(found) == 1 and failed:
        raise InputError(failed[0])
    done = len(found) - len(failed)
    what = f"aligned {counted(words_found, 'word')} of"
    click.echo(options.done(what, found, done, seconds, formats_of(to), out))
    if failed:
        lines = "".join(f"\n  {line}" for line in failed)
        raise InputError(f"{len(failed)} of {len(found)} recordings failed:{lines}")


def jobs_of(
    source: Path, text: Path | None, to: str, out: Path | None, missing: bool, overwrite: bool
) -> list["Job"]:
    """Return the recordings that are to be aligned; see `align` for the arguments.

    Raises:
        InputError: there are none, they do not go with the other arguments, or their files are
            there already.
    """
    from phonemes.transcription.outputs import (
        formats_of,
        jobs,
        refuse_existing,
        refuse_nowhere,
        unwritten,
    )

    formats = formats_of(to)
    if not formats:
        raise InputError("--to names no format; leave it out for textgrid")
    if not source.exists():
        refuse_nowhere([str(source), *([str(text)] if text else [])])
    if text is not None and source.is_dir():
        raise InputError(
            f"{source} is a folder: its texts lie next to its recordings; leave out {text}"
        )
    found = [*jobs([str(source)], formats, out)]
    if missing:
        return unwritten(found)
    if not overwrite:
        refuse_existing(found)
    return found


def listed(spelled: "Lexicon") -> str:
    """Return words that were spelled by rules, as a lexicon has them."""
    lines = [
        f"  {word if number == 1 else f'{word}({number})'} {' '.join(phonemes)}"
        for word, pronunciations in [*spelled.items()][:SHOWN]
        for number, phonemes in enumerate(pronunciations, 1)
    ]
    more = [f"  and {len(spelled) - SHOWN} more"] if len(spelled) > SHOWN else []
    head = "words that no lexicon has, as espeak-ng spells them; correct them in a --lexicon:"
    return "\n".join([head, *lines, *more])
