"""Plots of `block.json`: architecture weights over the epochs, and the found block as a graph."""

from __future__ import annotations

import itertools
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frostnas.artifacts import BlockHistoryRow, BlockResult, BlockSpec
from frostnas.report.figures import save_figure

FORMATS = ("png", "svg")
HEIGHT, STEP = 0.4, 0.8  # of a box in the block's graph, and the distance between rows
LANE, TRUNK, SIDE = -0.8, 0.0, 0.9  # columns of the block's graph
LINE = "#34597d"
ARROW = {"arrowstyle": "-|>", "color": LINE, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}


def write_block_plots(result: BlockResult, folder: Path) -> list[Path]:
    """Write `block_history` and `block` as PNG and SVG into ``folder``; the files, in that order."""
    figures = {"block_history": history_figure(result), "block": block_figure(result.block)}
    paths = []
    for name, figure in figures.items():
        for kind in FORMATS:
            paths.append(folder / f"{name}.{kind}")
            save_figure(figure, paths[-1], dpi=130, bbox_inches="tight")
    return paths


def history_figure(result: BlockResult) -> Figure:
    """A panel per slot: the probability of each candidate after every epoch, a line per candidate and seed."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for axes, slot in zip(panels.flat, result.slots, strict=True):
        for number, candidate in enumerate(slot.candidates):
            for seed in result.seeds:
                rows = [row for row in result.history if row.seed == seed.seed]
                epochs, values = [row.epoch for row in rows], [row.probabilities[slot.slot][number] for row in rows]
                first = seed is result.seeds[0]
                width = 2.2 if candidate == slot.choice else 1.2
                axes.plot(epochs, values, color=f"C{number}", lw=width, label=candidate if first else None)
        state = "" if slot.clear else ", no clear winner"
        axes.set_title(f"{slot.slot}: {slot.choice} (margin {slot.margin:.2f}{state})", fontsize=9)
        axes.legend(fontsize=7, loc="upper left")
        _shade_warm_up(axes, list(result.history))
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("probability", fontsize=9)
    return figure


def _shade_warm_up(axes: Axes, rows: list[BlockHistoryRow]) -> None:
    for epoch in {row.epoch for row in rows if row.phase == "warm-up"}:
        axes.axvspan(epoch - 0.5, epoch + 0.5, color="0.93", lw=0)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)


def block_steps(block: BlockSpec) -> list[str]:
    """The trunk of a block, in the order of data flow; a line per box."""
    act = block.activation
    steps = ["input\nC channels"]
    if block.squeeze:
        steps.append("concat")
    steps += [f"1x1 conv, x{block.expand:g}\nBN, {act}", _spatial_text(block)]
    if block.gate != "none":
        steps.append(block.gate.replace("_", " and "))
    steps.append("1x1 conv\nBN")
    if block.skip == "add":
        steps.append("add")
    return [*steps, "output"]


def _spatial_text(block: BlockSpec) -> str:
    name, _, side = block.spatial.rpartition("_")
    text = f"{side}x{side} {name.replace('_', ' ')}"
    return text if name == "max_pool" else f"{text}\nBN, {block.activation}"


def block_figure(block: BlockSpec) -> Figure:
    """The block from top to bottom: the trunk, the squeeze and the skip beside it."""
    steps = block_steps(block)
    figure = Figure(figsize=(4, 0.7 * len(steps)), layout="constrained")
    axes = figure.subplots()
    rows = {text: -STEP * number for number, text in enumerate(steps)}
    for text, y in rows.items():
        _box(axes, TRUNK, y, text)
    for upper, lower in itertools.pairwise(steps):
        _arrow(axes, (TRUNK, rows[upper] - HEIGHT / 2), (TRUNK, rows[lower] + HEIGHT / 2))
    if block.squeeze:
        y = (rows[steps[0]] + rows["concat"]) / 2
        _box(axes, SIDE, y, f"1x1 conv, C / {block.squeeze}\nBN, {block.activation}")
        _arrow(axes, (TRUNK, rows[steps[0]]), (SIDE, y + HEIGHT / 2))
        _arrow(axes, (SIDE, y - HEIGHT / 2), (TRUNK + 0.3, rows["concat"]))
    if block.skip == "add":
        _skip(axes, rows[steps[0]], rows["add"])
    axes.set_xlim(-1.1, 1.5)
    axes.set_ylim(-STEP * (len(steps) - 1) - HEIGHT, HEIGHT)
    axes.set_axis_off()
    return figure


def _box(axes: Axes, x: float, y: float, text: str) -> None:
    frame = {"boxstyle": "round,pad=0.35", "facecolor": "#eaf1f8", "edgecolor": LINE}
    axes.text(x, y, text, ha="center", va="center", fontsize=8, bbox=frame, zorder=3)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", xy=end, xytext=start, zorder=1, arrowprops=ARROW)


def _skip(axes: Axes, top: float, bottom: float) -> None:
    """From the input past everything to the add; boxes lie over the line's ends."""
    axes.plot([TRUNK, LANE, LANE], [top, top, bottom], color=LINE, lw=1.2, zorder=1)
    _arrow(axes, (LANE, bottom), (TRUNK - 0.2, bottom))
