"""The network that a training run keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from frostnas.engine import standard_error

LITTLE = 0.05
"""Share of the way from chance to all images right; who got less far has learnt next to nothing."""


@dataclass
class Best:
    """The network that is kept: the last that validation images cannot tell from the best.

    Few images say little of two epochs that differ by less than a standard error; the later one has learnt longer, at a
    lower rate.
    """

    top1: float = -1.0
    epoch: int = -1
    quantized: bool = False
    highest: float = -1.0
    """Validation top-1 of the best epoch so far of this kind."""
    last: float = -1.0
    """Validation top-1 after the latest epoch."""
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, top1: float, images: int, epoch: int, quantized: bool, model: nn.Module) -> None:
        """Keep ``model`` if it is not worse; a quantized network beats every one trained in floating point.

        Args:
            top1: on so many validation ``images``.
        """
        self.last = top1
        if self.quantized and not quantized:
            return
        first = quantized != self.quantized
        self.highest = top1 if first else max(top1, self.highest)
        error = standard_error(self.highest, images)
        if first or top1 >= self.highest - error:
            self.epoch, self.quantized = epoch, quantized
            self._keep(top1, model)

    def settle(self, top1: float, model: nn.Module) -> None:
        """What is kept is quantized without further training: ``model``, with the ranges of its activations."""
        self.quantized = True
        self._keep(top1, model)

    def _keep(self, top1: float, model: nn.Module) -> None:
        self.top1 = top1
        self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def doubt(self, classes: int) -> str | None:
        """What is to be said of a finished training that learnt nothing, or lost half of what it had learnt."""
        chance = 1 / classes
        if self.top1 - chance < LITTLE * (1 - chance):
            return f"the network has learnt next to nothing: validation top-1 {self.top1:.2%}, chance is {chance:.2%}"
        if self.last - chance < (self.top1 - chance) / 2:
            return f"validation top-1 was {self.top1:.2%} after epoch {self.epoch + 1}, {self.last:.2%} in the end"
        return None
