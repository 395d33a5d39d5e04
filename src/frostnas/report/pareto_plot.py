"""Accuracy against latency of everything that stage 2 scored, drawn from its artifacts alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frostnas.artifacts import NetResult, ParetoRow
from frostnas.report.figures import save_figure

SEARCHED, FRONT, PICK, KNOWN = "#9aa5b1", "#1f6feb", "#d1242f", "#4d7c0f"


def save_pareto_plot(folder: Path, result: NetResult, rows: Sequence[ParetoRow]) -> tuple[Path, Path]:
    """Write `pareto.png` and `pareto.svg`, and return their paths; equal artifacts give equal files."""
    figure = pareto_figure(result, rows)
    paths = folder / "pareto.png", folder / "pareto.svg"
    for path in paths:
        save_figure(figure, path, dpi=150)
    return paths


def pareto_figure(result: NetResult, rows: Sequence[ParetoRow]) -> Figure:
    """The figure: scored networks, their front, the budget, the pick, and named networks that were trained alone."""
    rows, known = [row for row in rows if not row.measured], [row for row in rows if row.measured]
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(
        [row.latency_ms for row in rows], [100 * row.top1 for row in rows], s=14, color=SEARCHED, label="scored"
    )
    _front(axes, rows)
    axes.axvline(result.budget_ms, color=PICK, linewidth=0.8, linestyle="--", label="budget")
    axes.scatter([result.predicted_ms], [100 * result.top1], s=90, marker="*", color=PICK, zorder=4, label="pick")
    if known:
        where = [(row.latency_ms, 100 * row.top1) for row in known]
        latencies, accuracies = zip(*where, strict=True)
        axes.scatter(latencies, accuracies, s=22, marker="D", color=KNOWN, label="trained alone")
        for row, point in zip(known, where, strict=True):
            name = "pick" if row.network == result.net.name else row.network
            axes.annotate(name, point, xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set_xlabel("predicted INT8 latency, ms")
    axes.set_ylabel("validation top-1" + ("" if known or result.alone else " in the supernet") + ", %")
    axes.set_title(f"{len(rows)} networks scored by {result.strategy}")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _front(axes: Axes, rows: Sequence[ParetoRow]) -> None:
    front = sorted((row.latency_ms, 100 * row.top1) for row in rows if row.on_front)
    latencies, accuracies = [point[0] for point in front], [point[1] for point in front]
    axes.step(latencies, accuracies, where="post", color=FRONT, linewidth=1.4, marker="o", markersize=4, label="front")
