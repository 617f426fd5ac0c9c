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
SILENT_SECONDS = 15.0  # after which a process of another host is taken for gone
_ENDING = {getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")}


@contextmanager
def ending_in_time() -> Iterator[None]:
    """Have this process end with the one that started it, and soon after it is told to.

    It is ended where it does not end by itself within `GRACE_SECONDS`. To be used by the main
    thread.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    heard.settimeout(LOOK_SECONDS)
    former = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end, args=(heard, os.getppid()), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        told.close()  # ends the thread


def _end(heard: socket.socket, parent: int) -> None:
    """End the process after a signal that says so, or once its parent is another one."""
    with heard:
        while os.getppid() == parent:
            with suppress(TimeoutError):
                numbers = heard.recv(64)
                if not numbers:
                    return
                if _ENDING & {*numbers}:
                    time.sleep(GRACE_SECONDS)
                    break
    os._exit(1)


@contextmanager
def others_heard(store: "Store", rank: int, size: int) -> Iterator[None]:
    """Have this process end with an error soon after one of another host is heard no more.

    Args:
        store: of this thread alone, that all processes reach.
        rank: of this process.
        size: number of processes.
    """
    left = threading.Event()
    store.set(f"heard/{rank}", "0")
    listener = threading.Thread(target=_listen, args=(store, rank, size, left), daemon=True)
    listener.start()
    yield
    left.set()
    listener.join()
    with suppress(RuntimeError):  # the host of the store is done
        store.set(f"heard/{rank}", "left")


def _listen(store: "Store", rank: int, size: int, left: threading.Event) -> None:
    """Say that this process is there, and look who else is, until it leaves."""
    others = [number for number in range(size) if number != rank]
    keys = [f"heard/{number}" for number in others]
    last: dict[int, tuple[bytes, float]] = {}  # what each said, and when it was new
    count = 0
    while not left.wait(LOOK_SECONDS):
        count += 1
        try:
            store.set(f"heard/{rank}", str(count))
            said = store.multi_get(keys)
        except RuntimeError:
            if not left.is_set():
                _fail("the host of the first process is heard no more")
            return
        now = time.monotonic()
        for number, words in zip(others, said, strict=True):
            if number not in last or last[number][0] != words:
                last[number] = words, now
            elif words != b"left" and now - last[number][1] > SILENT_SECONDS:
                _fail(f"process {number + 1} of {size} is heard no more, for {SILENT_SECONDS:g} s")


def _fail(why: str) -> None:
    print(f"error: {why}", file=sys.stderr, flush=True)
    os._exit(1)
