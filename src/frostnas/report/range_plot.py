"""Activation ranges of every layer over the epochs of a training run, drawn from `metrics/ranges.csv` alone."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from frostnas.report.figures import save_figure

GRID, BULK = "#9aa5b1", "#1f6feb"
FOLDS = 2  # doublings of a width at either end of its colours
MOST_CLIPPED = 0.1  # share at the end of its colours, which begin at a thousandth of it


def save_range_plot(metrics: Path, path: Path) -> None:
    """Read one row per layer and epoch from ``metrics`` and write a PNG."""
    save_figure(range_figure(pd.read_csv(metrics)), path, dpi=130)


def range_figure(rows: pd.DataFrame) -> Figure:
    """The figure of rows with epoch, phase, layer, low, high, bulk_low, bulk_high and clipped.

    Layers from top to bottom in the order of data flow. Left the grid of each after the last epoch and the activations
    in it, right over the epochs: its width, the share of it that is used, and the share of the activations it cuts off.
    """
    layers = list(dict.fromkeys(rows.layer))
    rows = rows.assign(width=rows.high - rows.low)
    rows["used"] = ((rows.bulk_high - rows.bulk_low) / rows.width).clip(upper=1)
    last = rows[rows.epoch == rows.epoch.max()].set_index("layer").loc[layers]
    rows["growth"] = np.log2(rows.width / rows.layer.map(last.width))
    inch = 1 / (2.2 + 0.17 * len(layers))  # as a share of the figure's height
    figure = Figure(figsize=(13, 1 / inch), layout="constrained")
    panels = figure.subplots(1, 4, sharey=True, width_ratios=[1.5, 1, 1, 1])
    _bars(panels[0], last)
    panels[0].legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.5 * inch), ncols=2)
    maps = (
        ("growth", "width against the last epoch's", "RdBu_r", Normalize(-FOLDS, FOLDS), _times),
        ("used", "share of the range that holds\n99.8% of the activations", "viridis", Normalize(0, 1), _percent),
        ("clipped", "activations cut off", "Reds", LogNorm(MOST_CLIPPED / 1000, MOST_CLIPPED), _percent),
    )
    for axes, (column, title, colours, norm, form) in zip(panels[1:], maps, strict=True):
        table = rows.pivot(index="layer", columns="epoch", values=column).loc[layers]
        image = axes.pcolormesh(table.columns, range(len(layers)), table, cmap=colours, norm=norm, shading="nearest")
        bar = figure.colorbar(
            image,
            ax=axes,
            location="bottom",
            format=FuncFormatter(form),
            fraction=0.3 * inch,
            pad=0.5 * inch,
            aspect=25,
        )
        if column == "growth":
            bar.set_ticks(list(range(-FOLDS, FOLDS + 1)))
        bar.ax.tick_params(labelsize=7)
        axes.set_title(title, fontsize=9, pad=18)
        axes.set_xlabel("epoch", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _mark_phases(axes, rows)
    panels[0].set_yticks(range(len(layers)), [layer.removesuffix(".quantizer") for layer in layers], fontsize=7)
    panels[0].set_ylim(len(layers) - 0.5, -0.5)
    for axes in panels:
        axes.tick_params(axis="x", labelsize=7)
    return figure


def _bars(axes: Axes, last: pd.DataFrame) -> None:
    """The grid of each layer as a thin line, and what holds nearly all activations as a thick one."""
    where = range(len(last))
    axes.hlines(where, last.low, last.high, color=GRID, linewidth=1.2, label="range")
    axes.hlines(where, last.bulk_low, last.bulk_high, color=BULK, linewidth=3.5, label="99.8% of the activations")
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_locator(FixedLocator([-100, -10, -1, 0, 1, 10, 100]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title(f"after epoch {last.epoch.iloc[0]}", fontsize=9, pad=18)
    axes.set_xlabel("activation (linear within ±1, logarithmic beyond)", fontsize=8)
    axes.grid(alpha=0.25)


def _times(doublings: float, _: object) -> str:
    """A power of two as a factor: -1 is 1/2."""
    return f"{2**doublings:g}x" if doublings >= 0 else f"1/{2**-doublings:g}x"


def _percent(share: float, _: object) -> str:
    return f"{100 * share:g}%"


def _mark_phases(axes: Axes, rows: pd.DataFrame) -> None:
    epochs = rows.drop_duplicates("epoch")
    for phase, group in groupby(zip(epochs.phase, epochs.epoch, strict=True), key=lambda one: one[0]):
        start = next(group)[1] - 0.5
        axes.axvline(start, color="black", linewidth=0.8)
        axes.text(start, 1.005, phase, transform=axes.get_xaxis_transform(), fontsize=7)
