"""Threads that train networks, and what separates them on a GPU: streams and random states."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import torch

from phonemes.search.outcome import Train

LOOK_SECONDS = 0.2  # between two looks at what the threads have done


class Workers(NamedTuple):
    """Threads that train networks on a device."""

    train: Train
    device: torch.device
    number: int  # of threads, and of networks at a time
    stop: threading.Event  # set where trainings are to end
    processes: int = 1  # that have as many threads each, on devices of their own

    def run(self, work: Callable[[], None], look: Callable[[], None]) -> bool:
        """Have each thread do something, on a GPU on a stream of its own; see `in_threads`."""

        def on_a_stream() -> None:
            with stream_of_its_own(self.device):
                work()

        return in_threads(on_a_stream, self.number, self.stop, look)


def stream_of_its_own(device: torch.device) -> AbstractContextManager:
    """Return a context for a thread that trains: on a GPU, it works on a stream of its own.

    Its priority sets it apart from the streams that steps are recorded on, which torch hands
    out again after some: what another thread launched there would be recorded too.
    """
    if device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device, priority=-1))


@contextmanager
def random_state_of_its_own(device: torch.device) -> Iterator[None]:
    """Have steps that are recorded inside draw from a state that no other step draws from."""
    if device.type != "cuda":
        yield
        return
    index = torch.cuda.current_device() if device.index is None else device.index
    generator = torch.cuda.default_generators[index]
    shared = generator.graphsafe_get_state()
    generator.graphsafe_set_state(generator.clone_state())
    try:
        yield
    finally:
        generator.graphsafe_set_state(shared)


def in_threads(
    work: Callable[[], None], count: int, stop: threading.Event, look: Callable[[], None]
) -> bool:
    """Run a function in some threads, to its end.

    Args:
        work: ends soon once `stop` is set.
        count: of threads.
        stop: set where a thread fails, or somebody interrupts.
        look: called now and then, and in the end.

    Returns:
        Whether somebody interrupted.
    """
    interrupted = False

    def whole() -> None:
        try:
            work()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(count) as pool:
        futures: list[Future[None]] = [pool.submit(whole) for _ in range(count)]
        while True:
            try:
                if not wait(futures, LOOK_SECONDS).not_done:
                    break
                look()
            except KeyboardInterrupt:
                stop.set()
                interrupted = True
            except BaseException:
                stop.set()
                raise
    for future in futures:
        future.result()
    look()
    return interrupted
