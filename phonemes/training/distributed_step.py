"""One step of several processes, each with its part of the batch."""

from torch import Tensor

from phonemes.distributed.copies import Copies
from phonemes.distributed.world import Group
from phonemes.training.run import PartedStep


class DistributedStep:
    """A step of a network that all processes have, by the mean of their gradients.

    Every process normalizes over its part of the batch. The parts of the gradients are averaged
    where the step that is wrapped pauses: the fused one on a stream of its own, while the
    gradients of the first layers are computed. Two GPUs of one host average the fused step's by
    copies.
    """

    def __init__(self, step: PartedStep, group: Group) -> None:
        """Wrap the step of this process; all processes' weights are alike.

        Raises:
            InputError: another process has ended, or is not there in time.
        """
        self._step, self._group, self.kernels = step, group, step.kernels
        self._copies = Copies.between(group) if step.kernels == "triton" else None

    def begin(self, epoch: int) -> None:
        """Get ready for an epoch, from 0."""
        self._step.begin(epoch)

    def memory(self) -> int | None:
        """Return the bytes that a step needs, or None where they have to be measured."""
        own = self._step.memory()
        return own + self._copies.memory() if own and self._copies else own

    def update(self, order: Tensor, cursor: Tensor, rates: Tensor, totals: Tensor) -> None:
        """Take one step; see `Step`. The totals are those of this process's part of the batch."""
        if self._copies:
            self._copies.begin()
        for part, gradients in enumerate(self._step.parts(order, cursor, rates, totals)):
            if self._copies:
                self._copies.average(part, *gradients)
            else:
                self._group.average(gradients)
