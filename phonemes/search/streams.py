"""What keeps networks apart that are trained at once on a GPU: their streams and random states."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


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
