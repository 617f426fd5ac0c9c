"""Processes that work for another one and end with it, whatever ends it."""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it has; to be called first.

    A process that waits for work would wait for ever once nobody is left to send any. Ctrl-C
    reaches all processes of a terminal at once: the one that started this one ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # of a pipe that the system closes at its end, SIGKILL included
    os._exit(1)
