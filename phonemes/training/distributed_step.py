"""One step of several processes, each with its part of the batch."""

from torch import Tensor

from phonemes.distributed.world import Group
from phonemes.training.run import PartedStep


class DistributedStep:
    """A step of a network that all processes have, by the mean of their gradients.

    Every process normalizes over its part of the batch. The parts of the gradients are averaged
    where the step that is wrapped pauses: the fused one on a stream of its own, while the
    gradients of the first layers are computed.
    """

    def __init__(self, step: PartedStep, group: Group) -> None:
        """Wrap the step of this process; all processes' weights are alike."""
        self._step, self._group, self.kernels = step, group, step.kernels

    def begin(self, epoch: int) -> None:
        """Get ready for an epoch, from 0."""
        self._step.begin(epoch)

    def memory(self) -> int | None:
        """Return the bytes that a step needs, or None where they have to be measured."""
        return self._step.memory()

    def update(self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        """Take one step; see `Step`. The totals are those of this process's part of the batch."""
        for gradients in self._step.parts(order, cursor, rates, totals):
            self._group.average(gradients)
