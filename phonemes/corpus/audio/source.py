"""Recordings with alignments: wav, flac and NIST sphere with TextGrid, .PHN or .lab.

`recordings` finds the files, `alignments` reads which phone is spoken when and
`frames` computes frames; this module makes an utterance of each recording, in
several processes.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from phonemes.corpus.audio.alignments import Alignment, frame_labels, read_alignment
from phonemes.corpus.audio.frames import frames_of
from phonemes.corpus.audio.phones import NO_TABLE, read_table
from phonemes.corpus.audio.recordings import Recording, find_recordings
from phonemes.corpus.audio.textgrid import Interval
from phonemes.corpus.audio.transcribed import Align, align_texts
from phonemes.corpus.params import AudioParams
from phonemes.corpus.processes import end_with_parent
from phonemes.corpus.source import Source, Utterance
from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams, label_times, mel_filters
from phonemes.features.sound import read_sound, require_libraries
from phonemes.inventory import INVENTORIES
from phonemes.storage.layout import Spelling

RECORDINGS_A_PROCESS = 64  # fewest that repay the second or so in which a process starts

Item = TypeVar("Item")
Result = TypeVar("Result")


def open_source(
    path: Path,
    audio: AudioParams,
    features: FeatureParams,
    jobs: int,
    progress: bool = False,
    align: Align | None = None,
) -> Source:
    """Find all recordings under `path`; their frames are computed while a split is iterated.

    Args:
        path: the corpus.
        audio: its layout, labels, speakers and splits.
        features: of the frames.
        jobs: processes, 0 for one a core; results do not depend on it.
        progress: show a bar.
        align: texts with recordings, for corpus.audio.transcripts: align.

    Raises:
        InputError: names what is missing or wrong, and the fix; the iterators of the splits
            raise it too, for what only reading the files can show.
    """
    require_libraries("corpus.source: audio")
    mel_filters(features)  # refuses impossible features before any work
    extract = partial(
        utterance,
        tier=audio.tier,
        phonemes=audio.phonemes,
        features=features,
        table=dict(read_table(path, audio)),
    )

    def iterate(split: str, recordings: list[Recording]) -> Iterator[Utterance]:
        processes = min(jobs or os.cpu_count() or 1, len(recordings) // RECORDINGS_A_PROCESS)
        results = in_order(extract, recordings, processes)
        yield from tqdm(
            results, split, len(recordings), leave=False, disable=None if progress else True
        )

    found = find_recordings(path, audio)
    if align is not None:
        found = align_texts(found, audio, align, progress)
    phonemes = INVENTORIES[audio.phonemes]
    return Source(
        phonemes,
        {split: partial(iterate, split, recordings) for split, recordings in found.splits.items()},
        spelling=partial(Spelling, True, phonemes),  # alignments are text
        notes=lambda: found.notes,
    )


def utterance(
    recording: Recording,
    tier: str,
    phonemes: str,
    features: FeatureParams,
    table: Mapping[str, str] = NO_TABLE,
) -> Utterance:
    """Compute one recording's frames and, where it has an alignment, labels.

    Args:
        recording: its files.
        tier: of a TextGrid, a name or a pattern.
        phonemes: names the inventory, as in corpus.audio.phonemes.
        features: of the frames.
        table: phonemes of phones, from `phones.read_table`.

    Raises:
        InputError: names the file and what is wrong with it.
    """
    sound = read_sound(recording.audio)
    frames = frames_of(sound, features, recording.audio)
    labels, alignment, where = None, None, recording.audio
    if recording.alignment is not None:
        where = recording.alignment
        alignment = read_alignment(where, tier, sound.rate)
    elif recording.phones:
        intervals = [Interval(*phone[:3]) for phone in recording.phones]
        alignment, table = Alignment(intervals, intervals[-1].end), NO_TABLE
    if alignment is not None:
        times, seconds = label_times(len(frames), features), len(sound.samples) / sound.rate
        labels = frame_labels(alignment, times, seconds, phonemes, str(where), table)
    return Utterance(recording.name, recording.speaker, frames, labels, str(recording.audio))


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int
) -> Iterator[Result]:
    """Yield `function(item)` of each item, in order.

    Only a few results wait at a time, so memory stays small however many items there are.
    The first error stops everything.

    Args:
        function: can be pickled.
        items: can be pickled; taken as they are needed.
        processes: that compute; below 2 it is this one.

    Raises:
        InputError: a process was killed; or what `function` raises.
    """
    if processes < 2:
        yield from map(function, items)
        return
    # spawned, as a fork copies the locks of threads that do not exist in the child
    spawn = multiprocessing.get_context("spawn")
    pending: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(processes, spawn, initializer=end_with_parent) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 4 * processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise InputError(
                "a process ended abruptly, probably for lack of memory; lower runtime.jobs"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
