"""The budget: which networks may be picked, and draws from them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from frostnas.artifacts import LatencyTable
from frostnas.search.spaces.arch import Arch
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.trellis import Cost, Edge, Path, Trellis, Weight, Window, part_cost, path_cost

DRAWS = 500
"""Attempts at a network within all limits."""


@dataclass(frozen=True)
class Limit:
    """A bound besides latency: on the sum over a network's parts, or on the greatest of them."""

    key: str
    most: float
    cost: Cost
    additive: bool = True

    def admits(self, path: Path) -> bool:
        if self.additive:
            return path_cost(path, self.cost) <= self.most
        return all(self.cost(part) <= self.most for edge in path for part in edge.parts)


@dataclass(frozen=True)
class Task:
    """The networks of a space within all limits, with a predicted latency in [floor_ms, budget_ms]."""

    space: NetworkSpace
    table: LatencyTable
    trellis: Trellis
    """The space without the decisions that alone break a limit."""
    limits: tuple[Limit, ...]
    budget_ms: float
    floor_ms: float
    fastest_ms: float
    slowest_ms: float
    """Of all networks of the trellis."""
    tilt: float
    """How strongly draws prefer networks that take less of what the limits count; 0 for uniform draws."""
    sure: Arch
    """One network that is admitted."""

    def latency_ms(self, arch: Arch) -> float:
        """Predicted latency of a network."""
        return path_cost(self.space.to_path(arch), self.table.workload_ms)

    def admits(self, arch: Arch) -> bool:
        """Whether the network may be picked."""
        return self.floor_ms <= self.latency_ms(arch) <= self.budget_ms and self.keeps(arch)

    def keeps(self, arch: Arch) -> bool:
        """Whether the network is within the limits besides latency."""
        path = self.space.to_path(arch)
        return all(limit.admits(path) for limit in self.limits)

    def window(self, weight: Weight | None = None) -> Window:
        """The networks of the right latency, for `draw` in proportion to ``weight``; uniform without."""
        weight = tilted(self.limits, self.tilt, weight)
        return Window(self.trellis, self.table.workload_ms, self.floor_ms, self.budget_ms, weight)

    def draw(self, window: Window, rng: random.Random) -> Arch:
        """An admitted network; `sure` where no other is found."""
        path = draw_within(window, self.limits, rng)
        return self.sure if path is None else self.space.from_path(path)

    def spread(self, networks: int, seed: int, near: float = 0.0) -> list[Arch]:
        """Networks of evenly spaced latencies from the fastest to the slowest; fewer where the space has gaps.

        Args:
            near: if not 0, only from this share of the budget up to the budget.
        """
        least_ms, most_ms = self.fastest_ms, self.slowest_ms
        if near:
            least_ms, most_ms = max(least_ms, near * self.budget_ms), min(most_ms, self.budget_ms)
        rng, step = random.Random(seed), (most_ms - least_ms) / max(1, networks)
        found: dict[Arch, None] = {}
        for number in range(networks):
            low = least_ms + number * step
            path = Window(self.trellis, self.table.workload_ms, low, low + step).sample(rng)
            if path is not None:
                found[self.space.from_path(path)] = None
        return list(found)


def tilted(limits: tuple[Limit, ...], tilt: float, weight: Weight | None = None) -> Weight | None:
    """``weight`` times exp(-tilt * share of the limits that a decision takes)."""
    if not tilt:
        return weight

    def product(edge: Edge) -> float:
        taken = sum(part_cost(edge, limit.cost) / limit.most for limit in limits if limit.additive)
        return (weight(edge) if weight else 1.0) * math.exp(-tilt * taken)

    return product


def draw_within(window: Window, limits: tuple[Limit, ...], rng: random.Random) -> Path | None:
    """A path of the window within all limits; None where none was found in `DRAWS` attempts."""
    for _ in range(DRAWS):
        path = window.sample(rng)
        if path is None or all(limit.admits(path) for limit in limits):
            return path
    return None
