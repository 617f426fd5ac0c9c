"""Generated speech as a source: 33 voices of espeak-ng, none in two splits.

Every session of a voice runs in a fresh process, which depends only on its sentences and
the seed. So the same seed gives the same corpus, however many of them run at once, and a
process holds a few minutes of speech at most.
"""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import islice
from math import ceil
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from os import cpu_count

import numpy as np
from tqdm import tqdm

from phonemes.corpus.params import SyntheticParams
from phonemes.corpus.processes import end_with_parent
from phonemes.corpus.source import Source, Utterance
from phonemes.corpus.synthetic.prompts import read_lexicon, write_prompts
from phonemes.corpus.synthetic.sessions import Session, hold_session
from phonemes.errors import InputError
from phonemes.features.log_mel import FeatureParams
from phonemes.inventory import ARPABET_STRESS

# Variants without an echo, which would fill the closures of stops. A small corpus takes
# the first voices of each split; low and high ones alternate there.
VOICES = {
    "train": "m1 f1 m4 Annie klatt steph m5 Andrea m7 aunty klatt3 grandma m8 anika Andy Alex Gene "
    "edward ed Reed klatt2 paul Michael victor".split(),
    "dev": "m3 linda klatt4 robert".split(),
    "test": "m6 belinda adam sandro Nguyen".split(),
}
SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}  # of the utterances
SECONDS_AN_UTTERANCE = 3.76  # on average
FEWEST_A_VOICE = 5  # utterances; fewer do not repay the start of a process
MOST_A_SESSION = 100  # utterances a process holds; about 6 minutes


def open_source(
    params: SyntheticParams, features: FeatureParams, jobs: int, progress: bool = False
) -> Source:
    """Return the generated corpus; speech is synthesized while a split is iterated.

    Args:
        params: how many minutes, and the seed.
        features: how frames are computed.
        jobs: processes at once; 0 is one for each core.
        progress: whether to show a bar for each split.

    Raises:
        InputError: espeak-ng or soxr is not installed.
    """
    for module in ("espeakng_loader", "soxr"):
        if find_spec(module) is None:
            raise InputError(
                f"corpus.source: synthetic needs {module}, which is not installed; "
                "run `pip install -e '.[synthetic]'`, or set corpus.source to arrays or audio "
                "for data of your own"
            )
    sessions = plan_sessions(params.minutes, params.seed)
    speak = partial(_speak, features=features, jobs=jobs or cpu_count() or 1, progress=progress)
    return Source(ARPABET_STRESS, {split: partial(speak, sessions[split]) for split in sessions})


def plan_sessions(minutes: float, seed: int) -> dict[str, list[Session]]:
    """Return the sessions of each split: about `minutes` in all, two sentences a split at least."""
    lexicon = read_lexicon()
    prompts = write_prompts(lexicon, np.random.default_rng(seed))
    plan = {}
    for split, voices in VOICES.items():
        utterances = max(2, round(minutes * 60 * SHARES[split] / SECONDS_AN_UTTERANCE))
        voices = voices[: ceil(utterances / FEWEST_A_VOICE)]
        plan[split] = [
            Session(
                voice,
                seed,
                int(first),
                [
                    [[lexicon[word] for word in clause] for clause in prompt]
                    for prompt in islice(prompts, min(MOST_A_SESSION, count - first))
                ],
            )
            for voice, count in zip(voices, _evenly(utterances, len(voices)), strict=True)
            for first in range(0, count, MOST_A_SESSION)
        ]
    return plan


def _evenly(total: int, shares: int) -> list[int]:
    """Return `shares` integers that add up to `total` and differ by 1 at most."""
    return [total // shares + (share < total % shares) for share in range(shares)]


def _speak(
    sessions: list[Session], features: FeatureParams, jobs: int, progress: bool
) -> Iterator[Utterance]:
    """Yield the utterances of all sessions in order, from `jobs` processes at once."""
    total = sum(len(session.sentences) for session in sessions)
    with tqdm(
        total=total, desc="speaking", unit=" utterances", disable=None if progress else True
    ) as bar:
        for utterances in _in_fresh_processes(sessions, features, jobs):
            yield from utterances
            bar.update(len(utterances))


def _in_fresh_processes(
    sessions: Iterable[Session], features: FeatureParams, jobs: int
) -> Iterator[list[Utterance]]:
    """Yield the utterances of each session, in order, each from a process of its own.

    Not a pool: a pool waits for ever for a worker that crashed in the library.
    """
    context = multiprocessing.get_context("spawn")  # fork would inherit the parent's threads
    running: deque[tuple[Session, SpawnProcess, Connection]] = deque()
    try:
        for session in sessions:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(sender, session, features), daemon=True)
            process.start()
            sender.close()  # the process has its own copy: if it dies, `recv` ends
            running.append((session, process, receiver))
            if len(running) == jobs:
                yield _receive(*running[0])
                running.popleft()
        while running:
            yield _receive(*running[0])
            running.popleft()
    finally:  # an error, an interrupt, or a reader that needs no more
        for _, process, receiver in running:
            process.terminate()
            process.join()
            receiver.close()


def _receive(session: Session, process: SpawnProcess, receiver: Connection) -> list[Utterance]:
    """Return what the process of a session sends, and wait for its end."""
    try:
        utterances: list[Utterance] = receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode == -9:  # SIGKILL
            raise InputError(
                f"voice {session.voice}: its process was killed, probably for lack of memory; "
                "lower runtime.jobs"
            ) from None
        raise RuntimeError(
            f"voice {session.voice}: its process ended with exit code {process.exitcode}; its own "
            "error, if it printed one, is above"
        ) from None
    process.join()
    receiver.close()
    return utterances


def _work(sender: Connection, session: Session, features: FeatureParams) -> None:
    """Send the utterances of a session; this runs in a fresh process."""
    end_with_parent()
    sender.send(hold_session(session, features))
