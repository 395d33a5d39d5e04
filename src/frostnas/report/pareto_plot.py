"""Accuracy against latency of everything that stage 2 scored, drawn from its artifacts alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frostnas.artifacts import NetResult, ParetoRow, write_atomic

SEARCHED, FRONT, PICK, KNOWN = "#9aa5b1", "#1f6feb", "#d1242f", "#4d7c0f"


@dataclass(frozen=True, slots=True)
class KnownNetwork:
    """A network to compare with, such as a published FrostNet at the same input size."""

    name: str
    latency_ms: float
    top1: float
    """As a fraction, of the same images."""


def save_pareto_plot(
    folder: Path, result: NetResult, rows: Sequence[ParetoRow], known: Sequence[KnownNetwork] = ()
) -> tuple[Path, Path]:
    """Write `pareto.png` and `pareto.svg`, and return their paths; equal artifacts give equal files."""
    figure = pareto_figure(result, rows, known)
    paths = folder / "pareto.png", folder / "pareto.svg"
    metadata: tuple[dict[str, str | None], ...] = ({"Software": None}, {"Date": None, "Creator": None})
    for path, drop in zip(paths, metadata, strict=True):
        content = io.BytesIO()
        with rc_context({"svg.hashsalt": "frostnas"}):  # names inside the SVG that do not change from run to run
            figure.savefig(content, format=path.suffix[1:], dpi=150, metadata=drop)
        write_atomic(path, content.getvalue())
    return paths


def pareto_figure(result: NetResult, rows: Sequence[ParetoRow], known: Sequence[KnownNetwork] = ()) -> Figure:
    """The figure: scored networks, their front, the budget, the pick, and known networks."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(
        [row.predicted_ms for row in rows], [100 * row.top1 for row in rows], s=14, color=SEARCHED, label="scored"
    )
    _front(axes, rows)
    axes.axvline(result.budget_ms, color=PICK, linewidth=0.8, linestyle="--", label="budget")
    axes.scatter(
        [result.predicted_ms], [100 * result.top1_supernet], s=90, marker="*", color=PICK, zorder=4, label="pick"
    )
    if known:
        axes.scatter(
            [one.latency_ms for one in known], [100 * one.top1 for one in known], s=22, marker="D", color=KNOWN
        )
        for one in known:
            where = (one.latency_ms, 100 * one.top1)
            axes.annotate(one.name, where, xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set_xlabel("predicted INT8 latency, ms")
    axes.set_ylabel("validation top-1 in the supernet, %")
    axes.set_title(f"{len(rows)} networks scored by {result.strategy}")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def _front(axes: Axes, rows: Sequence[ParetoRow]) -> None:
    front = sorted((row.predicted_ms, 100 * row.top1) for row in rows if row.on_front)
    latencies, accuracies = [point[0] for point in front], [point[1] for point in front]
    axes.step(latencies, accuracies, where="post", color=FRONT, linewidth=1.4, marker="o", markersize=4, label="front")
