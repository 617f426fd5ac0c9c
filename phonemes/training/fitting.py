"""Train a network from its last checkpoint to its end, by one process or as one of several.

The first process prints and shows a bar. Others train the same network with it and are silent,
or train a network of their own and say in one line what came of it. A network may be trained to
one of its epochs only: its checkpoint is what another process goes on from.
"""

import sys
from collections.abc import Callable, Sequence
from itertools import islice

from phonemes.model.architecture import describe
from phonemes.training.checkpoint import Checkpoints
from phonemes.training.loop import DivergedError, epochs, finished
from phonemes.training.profile import profile, record
from phonemes.training.run import Epoch, Run

Show = Callable[[Sequence[Epoch]], str]
"""Shows the history so far; returns a warning, or an empty text."""


def unseen(history: Sequence[Epoch]) -> str:
    """Show nothing."""
    return ""


# where another process shows its bar: the line is written over it, and the bar below
OVER_THE_BAR = "\r\033[K" if sys.stdout is not None and sys.stdout.isatty() else ""


def train_and_print(run: Run, checkpoints: Checkpoints, progress: bool, show: Show) -> None:
    """Train a network in the process that prints.

    Args:
        run: ready to start.
        checkpoints: of this run.
        progress: a bar, on a terminal.
        show: called with the history before the first epoch and after each.

    Raises:
        DivergedError: the loss is no longer a finite number.
    """
    _announce(run)
    _train(run, checkpoints, progress, show, run.train.epochs)


def train_silently(run: Run, checkpoints: Checkpoints) -> None:
    """Train a network together with the process that prints."""
    profile(run)
    _train(run, checkpoints, False, unseen, run.train.epochs, lines=False)


def train_alongside(run: Run, checkpoints: Checkpoints, name: str, until: int) -> None:
    """Train while another process prints; say in a line what came of it.

    Args:
        run: ready to start.
        checkpoints: of this run.
        name: of the network.
        until: the epoch after which its checkpoint is left to another process, or the last one.

    Raises:
        DivergedError: the loss is no longer a finite number; names the network.
    """
    record(run)
    try:
        _train(run, checkpoints, False, unseen, until, lines=False)
    except DivergedError as error:
        raise DivergedError(f"{name}: {error}") from None
    if until < run.train.epochs:
        done = f"{len(run.history)} of {run.train.epochs} epochs trained"
        print(f"{OVER_THE_BAR}{name}: {done}, another process goes on", flush=True)
        return
    best = run.best
    assert best is not None
    print(
        f"{OVER_THE_BAR}{name}: kept epoch {best.epoch} of {len(run.history)}, dev accuracy "
        f"{best.dev_accuracy:.4f}; {sum(epoch.seconds for epoch in run.history):,.1f} s "
        f"on {run.device}",
        flush=True,
    )


def _train(
    run: Run, checkpoints: Checkpoints, progress: bool, show: Show, until: int, lines: bool = True
) -> None:
    """Train, or go on training from a checkpoint; save, then show, every epoch.

    After the epoch `until`, or where training ends before it, the checkpoint is of just then.
    """
    if (why := checkpoints.resume(run)) and lines:
        print(why, flush=True)
    show(run.history)
    for epoch in islice(epochs(run, progress, lines), max(0, until - len(run.history))):
        last = epoch.epoch == until or finished(run)
        for warning in (checkpoints.save(run, last=last), show(run.history)):
            if warning:
                print(warning, file=sys.stderr)


def _announce(run: Run) -> None:
    """Print what is about to be trained and what it will cost."""
    cost = profile(run)
    print(describe(run.classifier.architecture))
    print(
        f"{cost.parameters:,} parameters; {run.steps:,} steps of {run.frames:,} frames "
        f"an epoch on {run.device}, {str(run.dtype).removeprefix('torch.')}\n"
        f"memory of a step {cost.step_bytes / 2**20:,.0f} MiB, "
        f"of all frames {cost.resident_bytes / 2**20:,.0f} MiB; "
        f"an epoch takes about {cost.epoch_seconds:,.1f} s",
        flush=True,
    )
    if (processes := run.group.world.size) > 1:
        print(f"one of {processes} processes, each with {run.batch:,} frames of a step")
    if run.batches.blocks > 1:
        blocks = run.batches.blocks
        print(f"frames pass through the device in {blocks} blocks an epoch", flush=True)
