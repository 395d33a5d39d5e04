"""A search space as a layered graph: networks are the paths from its first node to its last.

Whatever adds up along a path (latency above all) is minimised, bounded and sampled exactly by dynamic programming.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frostnas.artifacts import Workload

Slot = tuple[str, int, int]
"""A decision's name: what is decided (`width`, `op`, `depth`), stage, layer."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One decision, and the parts of the network that it adds."""

    target: int
    slot: Slot
    option: int
    parts: tuple[Workload, ...] = ()


Path = tuple[Edge, ...]
Cost = Callable[[Workload], float]
Weight = Callable[[Edge], float]
"""Relative probability of a decision."""


@dataclass(frozen=True, slots=True)
class Trellis:
    """Outgoing edges per node; nodes are in topological order, 0 is the first, the last has no edges."""

    edges: tuple[tuple[Edge, ...], ...]

    def ways(self) -> list[int]:
        """Number of paths from every node to the end."""
        paths = [0] * len(self.edges)
        paths[-1] = 1
        for node in reversed(range(len(self.edges) - 1)):
            paths[node] = sum(paths[edge.target] for edge in self.edges[node])
        return paths

    def paths(self, node: int = 0) -> Iterator[Path]:
        """Every path, depth first."""
        if node == len(self.edges) - 1:
            yield ()
        for edge in self.edges[node]:
            for rest in self.paths(edge.target):
                yield (edge, *rest)

    def within(self, cost: Cost, limit: float) -> Trellis:
        """Without the decisions that have a part of more than ``limit``."""
        kept = (tuple(e for e in edges if all(cost(p) <= limit for p in e.parts)) for edges in self.edges)
        return Trellis(tuple(kept))

    def least_peak(self, cost: Cost) -> float:
        """The smallest possible cost of a path's dearest part."""
        peak = [math.inf] * len(self.edges)
        peak[-1] = 0.0
        for node in reversed(range(len(self.edges) - 1)):
            for edge in self.edges[node]:
                peak[node] = min(peak[node], max([peak[edge.target], *map(cost, edge.parts)]))
        return peak[0]

    def cheapest(self, cost: Cost, *, dearest: bool = False) -> tuple[Path, float]:
        """The path of least (or greatest) total cost, and that cost."""
        sign = -1.0 if dearest else 1.0
        best = [math.inf] * len(self.edges)
        best[-1] = 0.0
        chosen: list[Edge | None] = [None] * len(self.edges)
        for node in reversed(range(len(self.edges) - 1)):
            for edge in self.edges[node]:
                total = best[edge.target] + sign * part_cost(edge, cost)
                if total < best[node]:
                    best[node], chosen[node] = total, edge
        path: list[Edge] = []
        while (step := chosen[path[-1].target if path else 0]) is not None:
            path.append(step)
        return tuple(path), path_cost(path, cost)


def part_cost(edge: Edge, cost: Cost) -> float:
    return sum(cost(part) for part in edge.parts)


def path_cost(path: Sequence[Edge], cost: Cost) -> float:
    """Total cost, added in the network's order."""
    return sum(cost(part) for edge in path for part in edge.parts)


class Window:
    """The paths whose total cost lies in [low, high], for counting and drawing.

    Costs are counted in bins of ``high / BINS``. A draw is made from the paths whose binned cost may lie inside, and
    repeated until the exact one does, so it follows the weights exactly.
    """

    BINS = 2000
    TRIES = 500

    def __init__(self, trellis: Trellis, cost: Cost, low: float, high: float, weight: Weight | None = None) -> None:
        self.trellis, self.low, self.high = trellis, low, high
        self._cost = cost
        self._weights = [[(weight(edge) if weight else 1.0) for edge in edges] for edges in trellis.edges]
        costs = [[part_cost(edge, cost) for edge in edges] for edges in trellis.edges]
        self._unit = high / self.BINS
        slack = len(trellis.edges) // 2 + 1  # half a bin of rounding per edge, at most
        self._bins = [[round(value / self._unit) for value in row] for row in costs]
        self._first, self._last = max(0, math.floor(low / self._unit) - slack), self.BINS + slack
        self._mass = self._suffix_mass()
        self._barren = False

    def _suffix_mass(self) -> list[npt.NDArray[np.float64]]:
        """[node][bins] -> weight of all ways from the node to the end that cost that many bins."""
        mass = [np.zeros(self._last + 1) for _ in self.trellis.edges]
        mass[-1][0] = 1.0
        for node in reversed(range(len(mass) - 1)):
            for edge, bins, weight in zip(self.trellis.edges[node], self._bins[node], self._weights[node], strict=True):
                if bins <= self._last:
                    mass[node][bins:] += weight * mass[edge.target][: self._last + 1 - bins]
        return mass

    def count(self) -> float:
        """Total weight of the paths inside, up to the rounding of costs to bins at the borders."""
        first = max(0, math.ceil(self.low / self._unit))
        return float(self._mass[0][first : self.BINS + 1].sum())

    def sample(self, rng: random.Random) -> Path | None:
        """A path drawn in proportion to the product of its weights; None where the window holds none (or next to
        none: `TRIES` draws failed)."""
        for _ in range(0 if self._barren else self.TRIES):
            path = self._walk(rng)
            if path is None:
                break
            if self.low <= path_cost(path, self._cost) <= self.high:
                return path
        self._barren = True  # later draws need not try again
        return None

    def _walk(self, rng: random.Random) -> Path | None:
        path: list[Edge] = []
        node, spent = 0, 0
        while self.trellis.edges[node]:
            masses = []
            for edge, bins, weight in zip(self.trellis.edges[node], self._bins[node], self._weights[node], strict=True):
                first, last = max(0, self._first - spent - bins), self._last - spent - bins
                masses.append(weight * float(self._mass[edge.target][first : last + 1].sum()) if last >= 0 else 0.0)
            if sum(masses) <= 0:
                return None
            index = rng.choices(range(len(masses)), masses)[0]
            path.append(self.trellis.edges[node][index])
            spent += self._bins[node][index]
            node = path[-1].target
        return tuple(path)
