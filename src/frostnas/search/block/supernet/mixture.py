"""How much of each candidate a pass through the supernet takes: a mixture of all, or one path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frostnas.search.spaces.block import BlockSpace


@dataclass(frozen=True)
class Mixture:
    """Weights of the candidates of every slot; a candidate of weight 0 in a hard mixture is not computed.

    weights: slot -> float32 (candidates,), summing to 1.
    """

    weights: Mapping[str, Tensor]
    path: Mapping[str, int] | None = None
    """Slot -> the only candidate, where the mixture is one path."""

    def live(self, slot: str) -> list[tuple[int, Tensor]]:
        """Candidates that take part, each with its weight, float32 ()."""
        weights = self.weights[slot]
        if self.path is not None:
            at = self.path[slot]
            return [(at, weights[at])]
        return list(enumerate(weights.unbind()))


def one_path(space: BlockSpace, code: tuple[int, ...], device: torch.device) -> Mixture:
    """The mixture of a single block."""
    weights, path = {}, {}
    for (slot, candidates), at in zip(space.slots.items(), code, strict=True):
        hot = torch.zeros(len(candidates), device=device)
        hot[at] = 1.0
        weights[slot], path[slot] = hot, at
    return Mixture(weights, path)


class Architecture(nn.Module):
    """The architecture weights: one logit per candidate of every slot, equal at the start."""

    def __init__(self, space: BlockSpace, device: torch.device) -> None:
        super().__init__()
        self.space = space
        self.logits = nn.ParameterDict()
        for slot, candidates in space.slots.items():  # one by one: a dict given whole would be sorted by name
            self.logits[slot] = nn.Parameter(torch.zeros(len(candidates), device=device))

    def probabilities(self) -> dict[str, Tensor]:
        """Slot -> softmax over its candidates, float32 (candidates,), with its gradient."""
        return {slot: torch.softmax(logits, 0) for slot, logits in self.logits.items()}

    def mixed(self) -> Mixture:
        """All candidates by their probabilities."""
        return Mixture(self.probabilities())

    def sample(self, generator: torch.Generator) -> tuple[int, ...]:
        """A block drawn slot by slot by its probabilities (Gumbel-max), as its code."""
        code = []
        for logits in self.logits.values():
            uniform = torch.rand(len(logits), generator=generator).clamp_(1e-12)
            gumbel = -torch.log(-torch.log(uniform))
            code.append(int((logits.detach().cpu() + gumbel).argmax()))
        return tuple(code)

    def log_probability(self, code: tuple[int, ...]) -> Tensor:
        """Logarithm of the probability that `sample` gives ``code``, float32 ()."""
        chosen = [torch.log_softmax(logits, 0)[at] for logits, at in zip(self.logits.values(), code, strict=True)]
        return torch.stack(chosen).sum()

    def best(self) -> tuple[int, ...]:
        """The most probable candidate of every slot; the first of equals."""
        return tuple(int(logits.argmax()) for logits in self.logits.values())
