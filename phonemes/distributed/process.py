"""How one process of several runs: it ends with the others, and what all say is printed once."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from phonemes.distributed.watch import GRACE_SECONDS, ending_in_time
from phonemes.distributed.world import World


@contextmanager
def in_a_world(world: World, grace: float = GRACE_SECONDS) -> Iterator[None]:
    """Run a block as one process of several: it ends with torchrun, and what all say is said once.

    An error that all processes have is reported by the first one: the others wait a moment, in
    which torchrun ends them. Interruptions are reported by whoever started the processes.

    Args:
        world: which of them this one is.
        grace: s that it has to end in good order after a signal; torchrun gives 30.
    """
    if world.size == 1:
        yield
        return
    _print_whole_lines()
    with ending_in_time(grace):
        try:
            try:
                yield
            except Exception:
                if not world.first:
                    time.sleep(GRACE_SECONDS)
                raise
        except KeyboardInterrupt:
            sys.exit(1)


def _print_whole_lines() -> None:
    """Have no process print within a line of another: torchrun has each write word by word."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            stream.flush()
            setattr(sys, name, WholeLines(stream.buffer, stream.encoding, stream.errors))


class WholeLines(TextIOWrapper):
    """Text whose lines are written once they are complete, with the lines printed before them.

    Python's own buffering by lines writes a text of several lines and its end one after the other.
    """

    def write(self, text: str) -> int:
        """Write a text; after a part of a line nothing is seen until the rest or `flush`."""
        count = super().write(text)
        if text.endswith("\n"):
            self.flush()
        return count
