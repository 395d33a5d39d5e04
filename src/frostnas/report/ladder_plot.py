"""Accuracy against latency of one network at several image sizes, drawn from `ladder.json` alone."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from frostnas.artifacts import LadderResult
from frostnas.report.figures import save_figure

FP32, INT8 = "#9aa5b1", "#1f6feb"


def save_ladder_plot(result: LadderResult, path: Path) -> None:
    """Write a PNG; equal results give equal files."""
    save_figure(ladder_figure(result), path, dpi=150)


def ladder_figure(result: LadderResult) -> Figure:
    """The figure: validation top-1 of each size, in INT8 and in FP32, over the measured INT8 latency."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    latencies = [one.latency_ms for one in result.rungs]
    axes.plot(latencies, [100 * one.top1_fp32 for one in result.rungs], "o--", color=FP32, label="FP32 weights")
    axes.plot(latencies, [100 * one.top1 for one in result.rungs], "o-", color=INT8, label="INT8")
    for one in result.rungs:
        where = (one.latency_ms, 100 * one.top1)
        axes.annotate(f"{one.image_size} px", where, xytext=(4, -12), textcoords="offset points", fontsize=8)
    axes.set_xlabel(f"measured INT8 latency, ms ({result.runtime}, {result.threads} thread(s))")
    axes.set_ylabel("validation top-1, %")
    axes.set_title(f"{result.net} at {len(result.rungs)} sizes")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", fontsize=8)
    return figure
