"""`phonemes transcribe`: the phonemes of recordings, with their times."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from phonemes.commands import options
from phonemes.errors import InputError

if TYPE_CHECKING:
    from phonemes.transcription.outputs import Job
    from phonemes.transcription.recognizer import Recognizer
    from phonemes.transcription.transcript import Transcript


def labelled(
    job: "Job", recognizer: "Recognizer", raw: bool, silence: str, ipa: bool
) -> "Transcript":
    """Transcribe a recording and write its files."""
    import numpy as np

    from phonemes.transcription.outputs import PICTURES, kept, write
    from phonemes.transcription.recognizer import SMOOTH
    from phonemes.transcription.sound import pieces, sound_file
    from phonemes.transcription.transcribe import transcribe_pieces

    pictures = not PICTURES.keys().isdisjoint(job.outputs)
    held: list[np.ndarray] = []
    smooth = None if raw else SMOOTH
    with sound_file(job.sound) as path:
        try:
            sound = pieces(path, recognizer.rate)
            sound = kept(sound, recognizer.rate, held) if pictures else sound
            transcript = transcribe_pieces(
                sound, recognizer, smooth, keep=pictures, workers=recognizer.workers
            )
        except InputError as error:
            named = str(path) in str(error)
            raise error if named else InputError(f"{job.sound}: {error}") from None
    samples = np.concatenate(held) if held else np.zeros(0, np.float32)
    write(job, transcript, samples, recognizer.rate, silence, ipa)
    return transcript


@click.command(epilog="Example: phonemes transcribe interviews/ --to textgrid,html --out labelled/")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|FOLDER|- ...")
@click.option(
    "--to",
    metavar="FORMATS",
    help=f"{options.FORMATS} Without: a table here.",
)
@options.out
@options.model
@options.silence
@options.ipa
@click.option(
    "--raw", is_flag=True, help="The likeliest phoneme of each frame, not smoothed over time."
)
@options.missing
@options.overwrite
@options.device
def transcribe(
    sources: tuple[str, ...],
    to: str | None,
    out: Path | None,
    model: str | None,
    silence: str,
    ipa: bool,
    raw: bool,
    missing: bool,
    overwrite: bool,
    device: str,
) -> None:
    """Find the phonemes of recordings, and when they are spoken.

    Takes wav, flac, mp3, ogg and NIST sphere of any rate and number of channels, folders of
    them, and - for standard input. A folder goes on after a file that cannot be read, and lists
    those at the end.

    sox call.sph -t wav - | phonemes transcribe -
    """
    from phonemes.features.sound import require_libraries
    from phonemes.transcription.outputs import formats_of, jobs, refuse_existing, unwritten
    from phonemes.transcription.recognizer import choose_model, open_recognizer

    require_libraries("phonemes transcribe")
    formats = formats_of(to or "")
    for name, given in (("--out", out is not None), ("--missing", missing)):
        if given and not formats:
            raise InputError(f"{name} needs --to, which says what to write")
    if ipa and "textgrid" not in formats:
        raise InputError("--ipa is for TextGrids; add --to textgrid")
    if "-" in sources and formats and out is None:
        raise InputError("standard input has no folder to write to; name one with --out FOLDER")
    found = [*jobs(sources, formats, out)]
    if missing:
        found = unwritten(found)
    elif not overwrite:
        refuse_existing(found)
    chosen = choose_model(model)
    click.echo(f"model: {chosen.name} ({chosen.why})", err=True)
    recognizer = open_recognizer(chosen.name, device)
    many, failed, seconds = len(found) > 1, [], 0.0
    with options.progress(found, len(found), formats) as bar:
        for job in bar:
            try:
                transcript = labelled(job, recognizer, raw, silence, ipa)
            except InputError as error:
                if not many:
                    raise
                failed.append(f"  {error}")
                continue
            seconds += transcript.duration
            if not formats:
                bar.clear()
                click.echo(f"{job.sound}\n{transcript}\n" if many else str(transcript))
    if formats:
        done = len(found) - len(failed)
        click.echo(options.done("labelled", found, done, seconds, formats, out))
    if failed:
        raise InputError(f"{len(failed)} of {len(found)} recordings failed:\n" + "\n".join(failed))
