"""End a process that can no longer go on with the others, even while it waits for its GPU.

Python handles a signal between two of its own instructions: never where a process waits for a
device that waits for a process that is gone. And a process of another host need not learn that one
of this host was killed: NCCL waits for ever, and gloo does, for its timeout, where it was about to
send to the one that is gone. So threads look.
"""

import os
import secrets
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

GRACE_SECONDS = 2.0  # for an end in good order: within it torchrun ends all after one has failed
LOOK_SECONDS = 1.0  # between two looks at the others
SILENT_SECONDS = 30.0  # after which a process of another host is taken for gone
BEAT, LEFT = b".", b"L"  # of a process that runs, and of one that has nothing left to do
HELLO = struct.Struct("!qq")  # a process's first words: its rank, and the number that all know
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


class Connections:
    """Connections over which processes of several hosts show the first one, and it them, they run.

    A process that is killed closes its connection: its kernel says so at once. The first process
    ends with any other, and all others with the first.
    """

    def __init__(
        self, rank: int, size: int, address: str, of_first: Callable[[Sequence[int]], list[int]]
    ) -> None:
        """Connect this process; all do so at about the same time.

        Args:
            rank: of this process.
            size: number of processes.
            address: of the first process's host.
            of_first: returns in all processes the numbers that the first one calls it with.

        Raises:
            OSError: the first process cannot be reached, or another one has not reached it.
        """
        self._size = size
        self._left = threading.Event()
        self._others = (
            _accepted(size, of_first) if rank == 0 else {0: _connected(rank, address, of_first)}
        )
        for connection in self._others.values():
            connection.setblocking(False)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have this process end with an error soon after another one has, or shows none."""
        looking = threading.Thread(target=self._look, daemon=True)
        looking.start()
        yield
        self._left.set()
        looking.join(GRACE_SECONDS)
        for connection in self._others.values():
            with suppress(OSError):
                connection.send(LEFT)
                connection.shutdown(socket.SHUT_WR)
        for connection in self._others.values():
            with connection, suppress(OSError):
                connection.settimeout(GRACE_SECONDS)
                while connection.recv(4096):  # with unread bytes a close could overtake LEFT
                    pass

    def _look(self) -> None:
        """Show that this process runs, and end it once another one does not; waits for nobody.

        Silence is counted in looks: where this process pauses too, nobody is taken for gone.
        """
        silent = dict.fromkeys(self._others, 0)
        while not self._left.wait(LOOK_SECONDS):
            for rank, connection in [*self._others.items()]:
                try:
                    received = connection.recv(4096)
                except BlockingIOError:
                    silent[rank] += 1
                    if silent[rank] * LOOK_SECONDS > SILENT_SECONDS:
                        _fail(
                            f"process {rank + 1} of {self._size} has not answered for "
                            f"{SILENT_SECONDS:g} s"
                        )
                except OSError:
                    self._end_after(rank)
                else:
                    silent[rank] = 0
                    if received.endswith(LEFT):
                        self._others.pop(rank).close()
                    elif not received:
                        self._end_after(rank)
                with suppress(OSError):  # the next look finds out
                    connection.send(BEAT)

    def _end_after(self, rank: int) -> None:
        """End this process after one that has ended, unless it soon does so by itself."""
        if not self._left.wait(2 * GRACE_SECONDS):
            _fail(
                "another process of this run has ended; its own error says why "
                f"(process {rank + 1} of {self._size})"
            )


def _accepted(
    size: int, of_first: Callable[[Sequence[int]], list[int]]
) -> dict[int, socket.socket]:
    """Return the first process's connections to the others, by rank."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    others: dict[int, socket.socket] = {}
    with socket.create_server(("", 0), family=family, backlog=size, dualstack_ipv6=both) as server:
        server.settimeout(SILENT_SECONDS)
        _, secret = of_first([server.getsockname()[1], secrets.randbits(62)])
        while len(others) < size - 1:
            connection, _ = server.accept()
            connection.settimeout(SILENT_SECONDS)
            with suppress(OSError, struct.error):
                rank, said = HELLO.unpack(connection.recv(HELLO.size, socket.MSG_WAITALL))
                if said == secret:
                    others[rank] = connection
                    continue
            connection.close()  # of some other program
    return others


def _connected(
    rank: int, address: str, of_first: Callable[[Sequence[int]], list[int]]
) -> socket.socket:
    """Return another process's connection to the first one."""
    port, secret = of_first([])
    connection = socket.create_connection((address, port), SILENT_SECONDS)
    connection.sendall(HELLO.pack(rank, secret))
    return connection


def _fail(why: str) -> None:
    print(f"error: {why}", file=sys.stderr, flush=True)
    os._exit(1)
