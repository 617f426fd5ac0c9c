"""Pack the corpus: data/raw or generated speech -> data/corpus."""

import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from phonemes.corpus.pack import SplitSummary, write_corpus
from phonemes.corpus.source import Source
from phonemes.params import Params
from phonemes.storage.atomic import Outputs
from phonemes.storage.layout import CORPUS, DESCRIPTION
from phonemes.wording import aligned, rounded
from stages import run

if TYPE_CHECKING:
    from phonemes.corpus.audio.transcribed import Align


def open_source(params: Params) -> Source:
    """Open the source that corpus.source names; only its own libraries are imported."""
    corpus, runtime = params.corpus, params.runtime
    match corpus.source:
        case "arrays":
            from phonemes.corpus.arrays import source as arrays

            return arrays.open_source(Path(corpus.path), corpus.arrays)
        case "audio":
            from phonemes.corpus.audio import source as audio

            return audio.open_source(
                Path(corpus.path),
                corpus.audio,
                params.features,
                runtime.jobs,
                runtime.progress,
                aligner(params) if corpus.audio.transcripts == "align" else None,
            )
    from phonemes.corpus.synthetic import source as synthetic

    return synthetic.open_source(corpus.synthetic, params.features, runtime.jobs, runtime.progress)


def aligner(params: Params) -> "Align":
    """Return what aligns transcripts with recordings; only then a network is loaded."""
    from phonemes.alignment.aligner import aligner_of
    from phonemes.alignment.dictionary import read_lexicons
    from phonemes.corpus.audio.files import contained
    from phonemes.transcription.recognizer import ENGLISH, open_recognizer

    corpus, audio = Path(params.corpus.path), params.corpus.audio
    model = ENGLISH
    if audio.model:
        what = f"corpus.audio.model: {audio.model}"
        model = str(contained(corpus / audio.model, corpus, what))
    recognizer = open_recognizer(model, params.runtime.device)
    stress = audio.phonemes == "arpabet-stress"
    return partial(aligner_of(recognizer, stress).align_all, lexicon=read_lexicons(None))


def table(summaries: dict[str, SplitSummary]) -> str:
    """Return a row for each split, under a heading."""
    rows = [("", "frames", "utterances", "speakers", "labels")]
    for split, summary in summaries.items():
        speakers = f"{summary.speakers:,}" if summary.speakers else "unknown"
        labels = "yes" if summary.labelled else "none"
        rows.append((split, f"{summary.frames:,}", f"{summary.utterances:,}", speakers, labels))
    return aligned(rows)


def main(params: Params, outputs: Outputs) -> None:
    """Write the packed corpus, all of it or nothing."""
    started, folder = time.perf_counter(), outputs.folder(CORPUS)
    source = open_source(params)
    summaries = write_corpus(
        source, folder, allow_shared_speakers=params.corpus.allow_shared_speakers
    )
    computed = None if params.corpus.source == "arrays" else asdict(params.features)
    facts = {"source": params.corpus.source, "features": computed, "header": source.header}
    description = json.dumps(facts, indent=2)
    (folder / DESCRIPTION.name).write_text(description + "\n", "utf-8", newline="\n")
    seconds = time.perf_counter() - started
    print(table(summaries))
    for note in source.notes():
        print(note)
    bands = summaries["train"].bands
    rate = sum(summary.frames for summary in summaries.values()) / seconds
    print(f"{len(source.phonemes)} phonemes, {bands} bands a frame; {rounded(rate)} frames/s")


if __name__ == "__main__":
    run(main, "corpus", "features")
