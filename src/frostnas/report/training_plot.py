"""Loss, accuracy and learning rate of a training run over its epochs, drawn from `metrics/train.csv` alone."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from frostnas.report.figures import save_figure

SHADES = {"head": "#ede9fe", "float": "#dbeafe", "qat": "#dcfce7", "frozen": "#fef3c7"}


def save_training_plot(metrics: Path, path: Path) -> None:
    """Read one row per epoch from ``metrics`` and write a PNG; phases are shaded."""
    save_figure(training_figure(pd.read_csv(metrics)), path, dpi=150)


def training_figure(rows: pd.DataFrame) -> Figure:
    """The figure of rows with epoch, phase, lr, train_loss, train_top1 and val_top1."""
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    loss, top1, rate = panels = figure.subplots(3, sharex=True)
    loss.plot(rows.epoch, rows.train_loss, color="#1f6feb")
    loss.set_ylabel("training loss")
    top1.plot(rows.epoch, 100 * rows.train_top1, color="#9aa5b1", label="training (augmented)")
    top1.plot(rows.epoch, 100 * rows.val_top1, color="#1f6feb", label="validation")
    top1.set_ylabel("top-1, %")
    top1.legend(loc="lower right", fontsize=8)
    rate.plot(rows.epoch, rows.lr, color="#1f6feb")
    rate.set(ylabel="learning rate", xlabel="epoch", ylim=(0, None))
    start = 0.5
    for phase, group in groupby(rows.phase):
        end = start + len(list(group))
        for axes in panels:
            axes.axvspan(start, end, color=SHADES[phase], zorder=0)
        loss.text(start + 0.2, 1.02, phase, transform=loss.get_xaxis_transform(), fontsize=8)
        start = end
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.margins(x=0)
    return figure
