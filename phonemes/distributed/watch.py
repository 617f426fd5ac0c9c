"""End a process that can no longer go on with the others, even while it waits for its GPU.

Python hears a signal between two of its own instructions: never where a process waits for a
device that waits for a process that is gone. And nobody tells a process of another host that one
of this host was killed, unless they exchange data on the host just then. So threads listen.
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
LEFT = "left"  # what a process says that has nothing left to do
_ENDING = {getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")}


@contextmanager
def ending_in_time(grace: float) -> Iterator[None]:
    """Have this process end with the one that started it, and soon after it is told to.

    It is ended where it does not end by itself within `grace`, in s. To be used by the main
    thread.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    heard.settimeout(LOOK_SECONDS)
    former = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end, args=(heard, os.getppid(), grace), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        told.close()  # ends the thread


def _end(heard: socket.socket, parent: int, grace: float) -> None:
    """End the process after a signal that says so, or once its parent is another one."""
    with heard:
        while os.getppid() == parent:
            with suppress(TimeoutError):
                numbers = heard.recv(64)
                if not numbers:
                    return
                if _ENDING & {*numbers}:
                    time.sleep(grace)
                    break
    os._exit(1)


class Others:
    """What processes of other hosts were last heard to say, through a store that all reach."""

    def __init__(self, store: "Store", rank: int, size: int) -> None:
        """Say that this process is there.

        Args:
            store: used by nobody else in this process.
            rank: of this process.
            size: number of processes.
        """
        self._store, self._rank, self._size = store, rank, size
        self._left = threading.Event()
        self._reached = time.monotonic()  # when the store was last reached
        self._said: dict[int, tuple[bytes, float]] = {}  # by rank, and since when
        store.set(f"heard/{rank}", "0")

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Have this process end with an error soon after another one is heard no more."""
        talking, listening = (
            threading.Thread(target=each, daemon=True) for each in (self._talk, self._listen)
        )
        talking.start()
        listening.start()
        yield
        self._left.set()
        talking.join(GRACE_SECONDS)

    def _talk(self) -> None:
        """Say again and again that this process is there, and hear who else is."""
        others = [number for number in range(self._size) if number != self._rank]
        keys = [f"heard/{number}" for number in others]
        count = 0
        with suppress(RuntimeError):  # the host of the store is gone: nothing is heard any more
            while not self._left.wait(LOOK_SECONDS):
                count += 1
                self._store.set(f"heard/{self._rank}", str(count))
                for number, words in zip(others, self._store.multi_get(keys), strict=True):
                    if self._said.get(number, (b"", 0))[0] != words:
                        self._said[number] = words, time.monotonic()
                self._reached = time.monotonic()
            self._store.set(f"heard/{self._rank}", LEFT)

    def _listen(self) -> None:
        """End this process once another one is silent; waits for no answer itself."""
        while not self._left.wait(LOOK_SECONDS):
            silent = time.monotonic() - SILENT_SECONDS
            if self._reached < silent:
                _fail(f"the store of process 1 cannot be reached, for {SILENT_SECONDS:g} s")
            for number, (words, since) in [*self._said.items()]:
                if since < silent and words != LEFT.encode():
                    _fail(
                        f"process {number + 1} of {self._size} is heard no more, for "
                        f"{SILENT_SECONDS:g} s"
                    )


def _fail(why: str) -> None:
    print(f"error: {why}", file=sys.stderr, flush=True)
    os._exit(1)
