"""What training will cost, measured before the first epoch; on a GPU the step is then recorded."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from phonemes.model.size import parameter_count
from phonemes.training.run import Run, Step

TIMED_STEPS = range(4, 33)  # at least and at most so many, after one that is not timed
SPARE = 0.25  # of a GPU's memory; caches are emptied where less is free
TIMED_SECONDS = 1.0  # and no more once so much time has passed, in a single process


class Cost(NamedTuple):
    """What training will cost."""

    parameters: int
    fixed_bytes: int  # weights, gradients and optimizer state
    step_bytes: int  # those, and what backward needs of a batch
    resident_bytes: int  # frames, starts and labels of train and dev
    epoch_seconds: float  # of training, without dev


class RecordedStep:
    """A step as one CUDA graph, which reads and writes the same tensors at every replay."""

    def __init__(self, step: Step, *buffers: Tensor) -> None:
        """Record an update with the buffers that every later one is called with."""
        self._step, self.kernels = step, step.kernels
        _, cursor, _, _ = buffers
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # as torch asks: a few steps on another stream first
            for _ in range(2):
                cursor.zero_()
                step.update(*buffers)
        torch.cuda.current_stream().wait_stream(side)
        # other threads may train networks of their own meanwhile, each on a stream of its own;
        # recorded on that stream, a step has a cuBLAS workspace that no other thread's step has
        current = torch.cuda.current_stream()
        alone = current == torch.cuda.default_stream()
        self._graph = torch.cuda.CUDAGraph()
        if alone:
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                step.update(*buffers)
        else:
            capture(self._graph, lambda: step.update(*buffers))

    def begin(self, epoch: int) -> None:
        """Get ready for an epoch."""
        self._step.begin(epoch)

    def update(self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        """Take one step, with the recorded buffers."""
        self._graph.replay()

    def memory(self) -> int | None:
        """Return the bytes that a step needs, or None where they have to be measured."""
        return self._step.memory()


def capture(graph: torch.cuda.CUDAGraph, update: Callable[[], None]) -> None:
    """Record an update on the current stream, and wait for nothing that other threads launched.

    torch.cuda.graph waits for all work of the GPU, other threads' too, and empties all caches. Here
    that is done where memory is short alone, of which a recorded step has some of its own.
    """
    free, total = torch.cuda.mem_get_info()
    if free < SPARE * total:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    graph.capture_begin(capture_error_mode="thread_local")
    try:
        update()
    finally:
        graph.capture_end()


def profile(run: Run) -> Cost:
    """Measure a few steps, record the step as a CUDA graph on a GPU, and undo what they changed."""
    needed: dict[int, int] = {}  # bytes of each storage that backward needs

    def remember(tensor: Tensor) -> Tensor:
        needed[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with _undone(run):
        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            _take_step(run)
        _record(run)
        seconds = _step_seconds(run)
    weights = list(run.classifier.network.parameters())
    for weight in weights:
        needed.pop(weight.untyped_storage().data_ptr(), None)
    moments = _moments(run)
    fixed = 2 * _bytes(*weights) + _bytes(*moments)
    return Cost(
        parameter_count([run.classifier.architecture]),
        fixed,
        run.step.memory() or fixed + sum(needed.values()),
        sum(
            _bytes(split.windows, split.starts, split.labels)
            for split in (run.batches.split, run.dev)
        ),
        seconds * run.steps,
    )


def record(run: Run) -> None:
    """Record the step as a CUDA graph on a GPU, as `profile` does, and measure nothing."""
    if run.device.type == "cuda":
        with _undone(run):
            _take_step(run)
            _record(run)


def _record(run: Run) -> None:
    if run.device.type == "cuda":
        run.step = RecordedStep(run.step, *run.buffers)


@contextmanager
def _undone(run: Run) -> Iterator[None]:
    """Undo what the steps that are taken inside changed: weights, optimizer, random state."""
    network = run.classifier.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scale = run.optimizer.scale
    network.train()
    with torch.random.fork_rng([run.device] if run.device.type == "cuda" else []):
        yield
    for moment in _moments(run):
        moment.zero_()
    network.load_state_dict(before)
    run.optimizer.scale = scale


def _moments(run: Run) -> list[Tensor]:
    return [value for values in run.optimizer.state.values() for value in values.values()]


def _step_seconds(run: Run) -> float:
    """Return the median time of a step: the first ones wait for memory and for libraries."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < TIMED_STEPS[-1]:
        started = time.perf_counter()
        _take_step(run)
        times.append(time.perf_counter() - started)
        passed = time.perf_counter() - began > TIMED_SECONDS
        if len(times) >= TIMED_STEPS[0] and (passed or run.group.world.size > 1):
            break
    return median(times)


def _take_step(run: Run) -> None:
    """Take the first step of an epoch, and wait for it."""
    run.buffers.cursor.zero_()
    run.step.update(*run.buffers)
    run.buffers.totals.tolist()


def _bytes(*tensors: Tensor | None) -> int:
    """Return the memory of the tensors; a view counts as what it looks at."""
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors if tensor is not None)
