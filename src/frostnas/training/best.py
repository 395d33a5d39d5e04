"""The network that a training run keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

LITTLE = 0.05
"""Share of the way from chance to all images right; who got less far has learnt next to nothing."""


@dataclass
class Best:
    """The network that is kept: the best so far by validation accuracy."""

    top1: float = -1.0
    epoch: int = -1
    quantized: bool = False
    last: float = -1.0
    """Validation top-1 after the latest epoch."""
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, top1: float, epoch: int, quantized: bool, model: nn.Module) -> None:
        """Keep ``model`` if it is at least as good; a quantized network beats every one trained in floating point."""
        self.last = top1
        if (quantized, top1) >= (self.quantized, self.top1):
            weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            self.top1, self.epoch, self.quantized, self.weights = top1, epoch, quantized, weights

    def doubt(self, classes: int) -> str | None:
        """What is to be said of a finished training that learnt nothing, or lost half of what it had learnt."""
        chance = 1 / classes
        if self.top1 - chance < LITTLE * (1 - chance):
            return f"the network has learnt next to nothing: validation top-1 {self.top1:.2%}, chance is {chance:.2%}"
        if self.last - chance < (self.top1 - chance) / 2:
            return f"validation top-1 was {self.top1:.2%} after epoch {self.epoch + 1}, {self.last:.2%} in the end"
        return None
