"""From the `budget` keys to a task that has networks, or to the reason why it has none."""

from __future__ import annotations

import random

from frostnas.artifacts import LatencyTable
from frostnas.config import BudgetConfig
from frostnas.errors import InputError
from frostnas.search.net.budget import Limit, Task, draw_within, tilted
from frostnas.search.net.resources import ResourceCounter
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.trellis import Path, Trellis, Window

SHARES = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
"""How far under the latency budget a pick may lie: the first that leaves enough networks to choose from."""
TILTS = (0.0, 4.0, 16.0, 64.0, 256.0)
"""Preferences for networks that take little: the first with which draws fit the limits often enough."""
PROBES, ENOUGH = 50, 10


def make_task(budget: BudgetConfig, space: NetworkSpace, table: LatencyTable, wanted: int) -> Task:
    """The task that `budget` sets.

    Args:
        wanted: networks that must be left to choose from before the search keeps close under the latency budget.

    Raises:
        InputError: no network of the space is within the budget, or the table does not hold the space.
    """
    limits = _limits(budget)
    trellis = _possible(space, limits)
    fastest_ms, slowest_ms = _extremes(trellis, table)
    budget_ms = budget.latency_ms
    if budget_ms is None:
        budget_ms = fastest_ms + budget.fraction * (slowest_ms - fastest_ms)
    elif budget_ms < fastest_ms:
        raise InputError(
            f"budget.latency_ms={budget_ms:g}: no network of the space is that fast; "
            f"the fastest takes {fastest_ms:.4g} ms, the slowest {slowest_ms:.4g} ms"
        )
    shares = SHARES if budget_ms < slowest_ms else (1.0,)
    for share in shares:
        floor_ms = budget_ms * (1 - share)
        for tilt in TILTS if any(limit.additive for limit in limits) else (0.0,):
            window = Window(trellis, table.workload_ms, floor_ms, budget_ms, tilted(limits, tilt))
            some = _some(window, limits, wanted)
            if some or (share == 1.0 and (some := _one(window, limits, table))):
                sure = space.from_path(some[0])
                return Task(space, table, trellis, limits, budget_ms, floor_ms, fastest_ms, slowest_ms, tilt, sure)
    keys = ", ".join(f"{limit.key}={limit.most:g}" for limit in limits)
    raise InputError(f"{keys}: no network was found that is within these and {budget_ms:.4g} ms; raise one of them")


def _limits(budget: BudgetConfig) -> tuple[Limit, ...]:
    count = ResourceCounter()
    every = (
        (Limit("budget.size_bytes", budget.size_bytes or 0, count.size_bytes), budget.size_bytes),
        (Limit("budget.macs", budget.macs or 0, count.macs), budget.macs),
        (
            Limit(
                "budget.peak_activation_bytes", budget.peak_activation_bytes or 0, count.peak_activation_bytes, False
            ),
            budget.peak_activation_bytes,
        ),
    )
    return tuple(limit for limit, given in every if given is not None)


def _possible(space: NetworkSpace, limits: tuple[Limit, ...]) -> Trellis:
    """The space without the decisions that alone break a limit.

    Raises:
        InputError: one limit alone is below the least possible.
    """
    trellis = space.trellis
    for limit in limits:
        least = trellis.cheapest(limit.cost)[1] if limit.additive else trellis.least_peak(limit.cost)
        if least > limit.most:
            raise InputError(
                f"{limit.key}={limit.most:g}: no network of the space needs that little; the least is {least:g}"
            )
    for limit in limits:
        trellis = trellis.within(limit.cost, limit.most)
    return trellis


def _extremes(trellis: Trellis, table: LatencyTable) -> tuple[float, float]:
    return tuple(trellis.cheapest(table.workload_ms, dearest=dearest)[1] for dearest in (False, True))  # type: ignore[return-value]


def _some(window: Window, limits: tuple[Limit, ...], wanted: int) -> list[Path]:
    """Networks of the window if it holds at least ``wanted``, or if draws fit the limits often enough."""
    rng = random.Random(0)
    if not limits:
        path = window.sample(rng) if window.count() >= wanted else None
        return [path] if path else []
    drawn = {path for _ in range(PROBES) if (path := window.sample(rng)) and all(one.admits(path) for one in limits)}
    return sorted(drawn, key=str) if len(drawn) >= min(wanted, ENOUGH) else []


def _one(window: Window, limits: tuple[Limit, ...], table: LatencyTable) -> list[Path]:
    """A network of the window: a drawn one, or the fastest, which draws miss where next to none other fits."""
    path = draw_within(window, limits, random.Random(0))
    if path is None:
        fastest, latency_ms = window.trellis.cheapest(table.workload_ms)
        path = fastest if latency_ms <= window.high and all(limit.admits(fastest) for limit in limits) else None
    return [path] if path else []
