"""Accuracy against latency of everything that was scored."""

from __future__ import annotations

from collections.abc import Mapping

from frostnas.artifacts import ParetoRow
from frostnas.search.net.budget import Task
from frostnas.search.net.scoring import Score
from frostnas.search.spaces.arch import Arch, arch_name, parse_arch


def pareto_rows(task: Task, scores: Mapping[str, Score], pick: Arch, *, alone: bool = False) -> tuple[ParetoRow, ...]:
    """One row per scored network by rising latency; on the front is what no faster network equals in accuracy.

    Args:
        alone: the networks were trained alone.
    """
    timed = sorted((task.latency_ms(parse_arch(name)), -score.top1, name) for name, score in scores.items())
    rows, best = [], -1.0
    for latency_ms, negative_top1, name in timed:
        top1 = -negative_top1
        rows.append(ParetoRow(name, latency_ms, top1, top1 > best, name == arch_name(pick), alone=alone))
        best = max(best, top1)
    return tuple(rows)
