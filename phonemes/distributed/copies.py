"""Means of arrays on two GPUs of one host, by copies from one to the other.

The kernels of an all-reduce take multiprocessors from the matrix products that run at the same
time; copies are made by engines of their own. Each GPU copies its values to where the other one has
room for them, in torch's symmetric memory, and once both have done so, each computes the mean.
Every byte passes once each way, as in an all-reduce of two; of more GPUs it would take fewer.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from phonemes.distributed.world import Group


class Room(NamedTuple):
    """Where the values of a part arrive."""

    received: Tensor  # of this GPU, by the other one
    of_other: Tensor  # of the other GPU, to be written
    handle: Any  # torch's, by which both GPUs wait for each other


class Copies:
    """The way between two GPUs of one host, each of a process of its own."""

    def __init__(self, rank: int) -> None:
        """Look at the way from the process of a rank, 0 or 1; see `between`.

        Raises:
            RuntimeError: the GPUs cannot reach each other's memory.
        """
        self._rank = rank
        self._rooms: list[Room] = []  # of each part of a step
        self._gate = _room(rank, torch.zeros(1, device="cuda"))
        self._side = torch.cuda.Stream()

    @classmethod
    def between(cls, group: Group) -> "Copies | None":
        """Return the way between two processes; None where there is none, as of more than two.

        Both call it: where one has no way, the other has none either.

        Raises:
            InputError: the other process has ended, or is not there in time.
        """
        if group.world.size != 2 or not group.one_host or not torch.cuda.is_available():
            return None
        own = torch.cuda.current_device()
        if not _both(group, torch.cuda.can_device_access_peer(own, 1 - own)):
            return None
        try:
            found = cls(group.world.rank)
        except (ImportError, AttributeError, TypeError, RuntimeError):  # torch may change it
            found = None
        return found if _both(group, found is not None) else None

    def memory(self) -> int:
        """Return the bytes of the room for what arrives."""
        return sum(room.received.nbytes for room in self._rooms)

    def begin(self) -> None:
        """Begin a step: wait, aside, until the other GPU has used what it received before."""
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            self._gate.handle.barrier(channel=0)

    def average(self, part: int, tensor: Tensor) -> None:
        """Give a tensor the mean that it has over both GPUs; it can be recorded.

        Args:
            part: its number in the step, from 0; room for it is made when it first comes, which
                cannot be recorded.
            tensor: (N,) of the same size in every step.
        """
        if part == len(self._rooms):
            self._rooms.append(_room(self._rank, tensor))
        received, of_other, handle = self._rooms[part]
        torch.cuda.current_stream().wait_stream(self._side)
        of_other.copy_(tensor)
        handle.barrier(channel=0)
        # in the same order on both: the mean of the two has the same bytes
        first, second = (tensor, received) if self._rank == 0 else (received, tensor)
        torch.lerp(first, second, 0.5, out=tensor)


def _room(rank: int, like: Tensor) -> Room:
    """Return room for the values of a tensor on both GPUs, which both processes call together."""
    import torch.distributed as dist
    from torch.distributed import _symmetric_memory as symmetric

    received = symmetric.empty(like.numel(), dtype=like.dtype, device=like.device)
    assert dist.group.WORLD is not None
    handle = symmetric.rendezvous(received, dist.group.WORLD)
    return Room(received, handle.get_buffer(1 - rank, (like.numel(),), like.dtype), handle)


def _both(group: Group, there: bool) -> bool:
    """Return whether something is there in both processes."""
    return bool(group.gather(torch.tensor(int(there))).all())
