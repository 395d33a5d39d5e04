"""The confusion matrix of `frostnas evaluate` as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from frostnas.artifacts import Evaluation
from frostnas.readable import readable
from frostnas.report.figures import save_figure

NAMED, NUMBERED = 60, 20  # classes: above these the picture leaves out names, and counts


def save_confusion_plot(result: Evaluation, path: Path) -> None:
    """Draw the shares of each true class, with the counts where they fit, as PNG."""
    save_figure(confusion_figure(result), path, dpi=150)


def confusion_figure(result: Evaluation) -> Figure:
    """The figure: a row per true class, a column per named one."""
    names, counts = [readable(one.name) for one in result.classes], np.asarray(result.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(4 + 0.3 * len(names), 14)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    axes.set(xlabel="named", ylabel="true", title=f"top-1 {result.top1:.2%} of {result.images} images")
    if len(names) <= NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
        axes.set_yticks(range(len(names)), names, parse_math=False)
    if len(names) <= NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    return figure
