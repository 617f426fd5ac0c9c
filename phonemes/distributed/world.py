"""Which process of a run this is, and its way to the others.

Processes are started by torchrun, which numbers them by environment variables. On GPUs
they talk by NCCL, and in host memory by gloo.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from phonemes.distributed.watch import GRACE_SECONDS, Connections
from phonemes.errors import InputError

if TYPE_CHECKING:  # torch.distributed takes a while to import: not where there is one process
    import torch
    from torch import Tensor
    from torch.distributed import ProcessGroup, Store, Work  # type: ignore[attr-defined]

TIMEOUT = timedelta(seconds=60)  # for what all processes do at about the same time
PATIENCE = timedelta(days=100)  # for the end of what takes one process longer than another
LOOK_SECONDS = 0.02  # between two looks whether all are there
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # by which torchrun numbers processes


class World(NamedTuple):
    """Which process of a run this is."""

    rank: int  # of all hosts' processes, from 0
    size: int  # number of processes
    local_rank: int  # of this host's processes, from 0: the number of its GPU

    @classmethod
    def alone(cls) -> "World":
        """Return the world of a single process."""
        return cls(0, 1, 0)

    @classmethod
    def of_environment(cls) -> "World":
        """Return which process torchrun started this one as; alone where it did not."""
        numbers = [os.environ.get(name, "") for name in VARIABLES]
        return cls(*map(int, numbers)) if all(map(str.isdecimal, numbers)) else cls.alone()

    @property
    def first(self) -> bool:
        """Return whether this process is the one that prints and writes."""
        return self.rank == 0

    @property
    def number(self) -> int | None:
        """Return the rank; None where the process is alone."""
        return None if self.size == 1 else self.rank

    @property
    def gpu(self) -> int | None:
        """Return the number of this process's GPU; None where it is alone and has its choice."""
        return None if self.size == 1 else self.local_rank

    def share(self, count: int) -> list[int]:
        """Return which of `count` things, numbered from 0, are this process's."""
        return [number for number in range(count) if self.owner(number) == self.rank]

    def owner(self, number: int) -> int:
        """Return the rank of the process whose share a thing is in.

        They are dealt forth and back: the first thing may take longer than the others, and who
        has it is the last one to get another.
        """
        place = number % (2 * self.size)
        return min(place, 2 * self.size - 1 - place)


ALONE = World.alone()


class Group:
    """The processes of a run, seen from one of them; a single process waits for nobody."""

    def __init__(
        self,
        world: World,
        patient: "ProcessGroup | None" = None,
        store: "Store | None" = None,
    ) -> None:
        """Look at the processes of a world that has been joined; see `joined`.

        Args:
            world: which of them this one is.
            patient: by which they wait for each other.
            store: that all reach, where they are of one host.
        """
        self.world, self._patient, self._store = world, patient, store

    @property
    def one_host(self) -> bool:
        """Return whether there are several processes, which have the files of one host."""
        return self._store is not None

    def announce(self, what: str) -> None:
        """Have the other processes of one host know that something is there; see `wait_for`.

        Raises:
            InputError: the processes are being ended.
        """
        assert self._store is not None
        with _others_failing():
            self._store.set(what, "")

    def wait_for(self, what: str) -> None:
        """Wait until a process has announced something, however long that takes.

        Where that process fails, torchrun ends this one.

        Raises:
            InputError: the processes are being ended.
        """
        assert self._store is not None
        with _others_failing():
            while not self._store.check([what]):
                time.sleep(LOOK_SECONDS)

    def wait(self) -> None:
        """Wait until all processes are here, however long the last one takes.

        Raises:
            InputError: a process has ended.
        """
        self._do(lambda dist: [dist.barrier(self._patient, async_op=True)])

    def broadcast(self, tensors: Sequence["Tensor"], rank: int) -> None:
        """Give `tensors`, in host memory, in all processes the values that they have in one.

        Raises:
            InputError: a process has ended.
        """
        self._do(lambda dist: [dist.broadcast(each, rank, self._patient, True) for each in tensors])

    def gather(self, tensor: "Tensor") -> "Tensor":
        """Return what all processes have for a tensor, in host memory: (size, ...), by rank.

        Raises:
            InputError: a process has ended, or is not there in time.
        """
        if self.world.size == 1:
            return tensor[None]
        import torch
        import torch.distributed as dist

        every = [torch.empty_like(tensor) for _ in range(self.world.size)]
        with _others_failing():
            dist.all_gather(every, tensor)
        return torch.stack(every)

    def average(self, tensors: Sequence["Tensor"]) -> None:
        """Give tensors of one device and type the mean that they have over all processes.

        On a GPU nothing waits for it: it can be recorded.

        Raises:
            InputError: on a CPU, that a process has ended, or is not there in time.
        """
        if self.world.size == 1 or not tensors:
            return
        import torch
        import torch.distributed as dist

        flat = tensors[0]
        if len(tensors) > 1:
            flat = torch.cat([each.flatten() for each in tensors])
        if flat.is_cuda:
            dist.all_reduce(flat, dist.ReduceOp.AVG)
        else:  # by gloo, which has no mean
            with _others_failing():
                dist.all_reduce(flat)
            flat /= self.world.size
        if len(tensors) > 1:
            for each, part in zip(
                tensors, flat.split([each.numel() for each in tensors]), strict=True
            ):
                each.copy_(part.view_as(each))

    def of_first(self, numbers: Sequence[int]) -> list[int]:
        """Return the whole numbers that the first process calls this with.

        Raises:
            InputError: a process has ended.
        """
        if self.world.size == 1:
            return [*numbers]
        import torch

        count = torch.tensor([len(numbers)])
        self.broadcast([count], 0)
        values = torch.zeros(int(count), dtype=torch.int64)
        if self.world.first:
            values[:] = torch.tensor(numbers, dtype=torch.int64)
        self.broadcast([values], 0)
        return values.tolist()

    def _do(self, begin: Callable[..., "list[Work]"]) -> None:
        """Begin something and see it through; signals still interrupt it."""
        if self.world.size == 1:
            return
        import torch.distributed as dist

        with _others_failing():
            for work in begin(dist):
                while not work.is_completed():
                    time.sleep(LOOK_SECONDS)
                work.wait()


SINGLE = Group(ALONE)


@contextmanager
def _others_failing() -> Iterator[None]:
    """Have errors of what processes do together say that one of them has ended."""
    try:
        yield
    except RuntimeError as error:
        time.sleep(GRACE_SECONDS)  # the one that failed says why; then torchrun ends this one
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"another process of this run has ended; its own error says why ({reason})"
        ) from None


@contextmanager
def joined(world: World, device: "torch.device") -> Iterator[Group]:
    """Join the processes of a run while the block runs; a single process has nothing to join.

    Args:
        world: which of them this one is.
        device: of this process; a GPU becomes torch's current one.

    Raises:
        InputError: a process has ended, or is not there in time.
    """
    if world.size == 1:
        yield SINGLE
        return
    import torch
    import torch.distributed as dist

    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _others_failing():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT)
        patient = dist.new_group(backend="gloo", timeout=PATIENCE)
    if os.environ.get("LOCAL_WORLD_SIZE", str(world.size)) == str(world.size):
        yield Group(world, patient, _store())
    else:  # torchrun does not watch the processes of other hosts
        with _connections(world).watched():
            yield Group(world, patient)
    gc.collect()  # NCCL waits for the end of all recorded graphs that use it
    dist.destroy_process_group()  # not after an error: it would wait for the others


def _store() -> "Store":
    """Return a connection of this process's own to torchrun's store, which all processes reach."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, timeout=TIMEOUT)


def _connections(world: World) -> Connections:
    """Connect the processes of several hosts.

    Raises:
        InputError: they cannot reach each other.
    """
    hurried = Group(world)  # nobody watches yet
    try:
        return Connections(world.rank, world.size, os.environ["MASTER_ADDR"], hurried.of_first)
    except OSError as error:
        raise InputError(f"the processes of this run cannot reach each other: {error}") from None
