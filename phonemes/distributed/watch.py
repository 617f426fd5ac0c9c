"""End a process that can no longer go on with the others, even while it waits for its GPU.

Python handles a signal between two of its own instructions: never where a process waits for a
device that waits for a process that is gone. And a process of another host does not learn that one
of this host was killed, unless they exchange data on the host just then. So threads look.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

GRACE_SECONDS = 2.0  # for an end in good order: within it torchrun ends all after one has failed
LOOK_SECONDS = 1.0  # between two looks at the others
SILENT_SECONDS = 30.0  # after which a process of another host is taken for gone
LEFT = "left"  # of a process that has nothing left to do
_ENDING = {getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")}


@contextmanager
def ending_in_time(grace: float) -> Iterator[None]:
    """Have this process end with the one that started it, and soon after a signal to end.

    It is ended where it does not end by itself within `grace`, in s. To be used by the main
    thread.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    reader.settimeout(LOOK_SECONDS)
    former = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end, args=(reader, os.getppid(), grace), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        writer.close()  # ends the thread


def _end(reader: socket.socket, parent: int, grace: float) -> None:
    """End the process after a signal that says so, or once its parent is another one."""
    with reader:
        while os.getppid() == parent:
            with suppress(TimeoutError):
                numbers = reader.recv(64)
                if not numbers:
                    return
                if _ENDING & {*numbers}:
                    time.sleep(grace)
                    break
    os._exit(1)


class Heartbeats:
    """Numbers by which processes of several hosts show that they run, in a store that all reach."""

    def __init__(self, store: "Store", rank: int, size: int) -> None:
        """Show that this process runs.

        Args:
            store: used by nobody else in this process.
            rank: of this process.
            size: number of processes.
        """
        self._store, self._rank, self._size = store, rank, size
        self._left = threading.Event()
        self._reached = time.monotonic()  # when the store was last reached
        self._seen: dict[int, tuple[bytes, float]] = {}  # by rank, and since when
        store.set(f"heartbeat/{rank}", "0")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have this process end with an error soon after another one shows none."""
        beating, looking = (
            threading.Thread(target=each, daemon=True) for each in (self._beat, self._look)
        )
        beating.start()
        looking.start()
        yield
        self._left.set()
        beating.join(GRACE_SECONDS)

    def _beat(self) -> None:
        """Count on in the store, and look who else does."""
        others = [number for number in range(self._size) if number != self._rank]
        keys = [f"heartbeat/{number}" for number in others]
        count = 0
        with suppress(RuntimeError):  # the host of the store is gone: no heartbeat comes any more
            while not self._left.wait(LOOK_SECONDS):
                count += 1
                self._store.set(f"heartbeat/{self._rank}", str(count))
                for number, value in zip(others, self._store.multi_get(keys), strict=True):
                    if self._seen.get(number, (b"", 0))[0] != value:
                        self._seen[number] = value, time.monotonic()
                self._reached = time.monotonic()
            self._store.set(f"heartbeat/{self._rank}", LEFT)

    def _look(self) -> None:
        """End this process once another one is silent; waits for no answer itself."""
        while not self._left.wait(LOOK_SECONDS):
            silent = time.monotonic() - SILENT_SECONDS
            if self._reached < silent:
                _fail(f"the store of process 1 has not answered for {SILENT_SECONDS:g} s")
            for number, (value, since) in [*self._seen.items()]:
                if since < silent and value != LEFT.encode():
                    _fail(
                        f"process {number + 1} of {self._size} has not answered for "
                        f"{SILENT_SECONDS:g} s"
                    )


def _fail(why: str) -> None:
    print(f"error: {why}", file=sys.stderr, flush=True)
    os._exit(1)
