"""A distribution over the networks of a space: independent logits per decision."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from frostnas.search.spaces.arch import Arch
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.trellis import Cost, Edge, Slot, Weight, part_cost


class Decisions(nn.Module):
    """Logits of every width, depth and op; all zero (uniform) at first.

    Their memory is that of a few hundred numbers, so they stay on the CPU in float64.
    """

    def __init__(self, space: NetworkSpace) -> None:
        super().__init__()
        self.space = space
        self.logits = nn.ParameterDict(
            {
                _name(slot): nn.Parameter(torch.zeros(options, dtype=torch.float64))
                for slot, options in space.slots.items()
            }
        )

    def probabilities(self) -> dict[Slot, Tensor]:
        """Slot -> float64 (options,)."""
        return {slot: self.logits[_name(slot)].softmax(0) for slot in self.space.slots}

    def log_probability(self, arch: Arch) -> Tensor:
        """Log-probability float64 () of the decisions that ``arch`` is made of."""
        path = self.space.to_path(arch)
        return torch.stack([self.logits[_name(edge.slot)].log_softmax(0)[edge.option] for edge in path]).sum()

    def weight(self) -> Weight:
        """Probability of a decision."""
        tables = {slot: values.tolist() for slot, values in self.probabilities().items()}
        return lambda edge: tables[edge.slot][edge.option]

    def draw(self, rng: random.Random) -> Arch:
        """A network from the distribution."""
        tables = {slot: values.tolist() for slot, values in self.probabilities().items()}
        chosen = {slot: rng.choices(range(len(values)), values)[0] for slot, values in tables.items()}
        return self.space.from_options(chosen)

    def gumbel(self, temperature: float, generator: torch.Generator) -> tuple[Arch, dict[Slot, Tensor]]:
        """A network from the distribution, and a gate float64 () for every decision with alternatives.

        A gate is 1 and has the gradient of the relaxed choice (straight-through Gumbel-softmax, Jang et al. 2017).
        """
        gates, chosen = {}, {}
        for slot in self.space.slots:
            logits = self.logits[_name(slot)]
            noise = -torch.empty_like(logits).exponential_(generator=generator).log()
            soft = ((logits + noise) / temperature).softmax(0)
            chosen[slot] = int(soft.argmax())
            if len(soft) > 1:
                relaxed = soft[chosen[slot]]
                gates[slot] = 1.0 + relaxed - relaxed.detach()
        return self.space.from_options(chosen), gates


class Expectation:
    """The exact mean of an additive cost over a distribution, differentiable in its logits.

    With m(v) the probability of all ways from node v to the end and t(v) their cost times probability,
    m(v) = sum p m(w) and t(v) = sum p (t(w) + c m(w)) over the edges v -> w of probability p and cost c.
    """

    def __init__(self, space: NetworkSpace, cost: Cost) -> None:
        self.nodes = [
            (torch.tensor([part_cost(edge, cost) for edge in edges], dtype=torch.float64), edges)
            for edges in space.trellis.edges
        ]

    def __call__(self, probabilities: dict[Slot, Tensor]) -> Tensor:
        """Slot -> probabilities float64 (options,) to the mean cost float64 ()."""
        one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        mass, total = [one] * len(self.nodes), [zero] * len(self.nodes)
        for node in reversed(range(len(self.nodes) - 1)):
            costs, edges = self.nodes[node]
            chance = _edge_probabilities(edges, probabilities)
            ahead = torch.stack([mass[edge.target] for edge in edges])
            mass[node] = chance @ ahead
            total[node] = chance @ (torch.stack([total[edge.target] for edge in edges]) + costs * ahead)
        return total[0] / mass[0]


def _edge_probabilities(edges: tuple[Edge, ...], probabilities: dict[Slot, Tensor]) -> Tensor:
    return torch.stack([probabilities[edge.slot][edge.option] for edge in edges])


def _name(slot: Slot) -> str:
    return "_".join(map(str, slot))
