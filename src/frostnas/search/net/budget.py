"""The budget: what may be picked, and drawing from it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from frostnas.artifacts import LatencyTable
from frostnas.config import BudgetConfig
from frostnas.errors import InputError
from frostnas.search.spaces.network import Arch, NetworkSpace
from frostnas.search.spaces.trellis import Weight, Window, path_cost

SHARES = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
"""How far under the budget a pick may lie: the first that leaves enough networks to choose from."""


@dataclass(frozen=True)
class Task:
    """The networks of a space whose predicted latency lies in [floor_ms, budget_ms]."""

    space: NetworkSpace
    table: LatencyTable
    budget_ms: float
    floor_ms: float
    fastest_ms: float
    slowest_ms: float

    def latency_ms(self, arch: Arch) -> float:
        """Predicted latency of a network."""
        return path_cost(self.space.to_path(arch), self.table.workload_ms)

    def admits(self, arch: Arch) -> bool:
        """Whether the network may be picked."""
        return self.floor_ms <= self.latency_ms(arch) <= self.budget_ms

    def window(self, weight: Weight | None = None) -> Window:
        """The admitted networks, for drawing in proportion to ``weight``; uniform without."""
        return Window(self.space.trellis, self.table.workload_ms, self.floor_ms, self.budget_ms, weight)

    def draw(self, window: Window, rng: random.Random) -> Arch:
        """An admitted network; the fastest of all where next to none other is."""
        path = window.sample(rng)
        return self.space.fastest(self.table)[0] if path is None else self.space.from_path(path)


def make_task(budget: BudgetConfig, space: NetworkSpace, table: LatencyTable, wanted: int) -> Task:
    """The task that `budget` sets.

    Args:
        wanted: networks that must be left to choose from before the search keeps close under the budget.

    Raises:
        InputError: no network of the space is fast enough, or the table does not hold the space.
    """
    fastest_ms, slowest_ms = space.fastest(table)[1], space.slowest(table)[1]
    budget_ms = budget.latency_ms
    if budget_ms is None:
        budget_ms = fastest_ms + budget.fraction * (slowest_ms - fastest_ms)
    elif budget_ms < fastest_ms:
        raise InputError(
            f"budget.latency_ms={budget_ms:g}: no network of the space is that fast; "
            f"the fastest takes {fastest_ms:.4g} ms, the slowest {slowest_ms:.4g} ms"
        )
    floor_ms = 0.0
    if budget_ms < slowest_ms:
        floors = (budget_ms * (1 - share) for share in SHARES)
        floor_ms = next((f for f in floors if _networks(space, table, f, budget_ms) >= wanted), 0.0)
    return Task(space, table, budget_ms, floor_ms, fastest_ms, slowest_ms)


def _networks(space: NetworkSpace, table: LatencyTable, low_ms: float, high_ms: float) -> float:
    return Window(space.trellis, table.workload_ms, low_ms, high_ms).count()


def spread(task: Task, networks: int, seed: int) -> list[Arch]:
    """Networks of evenly spaced latencies from the fastest to the slowest; fewer where the space has gaps."""
    rng, step = random.Random(seed), (task.slowest_ms - task.fastest_ms) / max(1, networks)
    found: dict[Arch, None] = {}
    for number in range(networks):
        low = task.fastest_ms + number * step
        path = Window(task.space.trellis, task.table.workload_ms, low, low + step).sample(rng)
        if path is not None:
            found[task.space.from_path(path)] = None
    return list(found)
