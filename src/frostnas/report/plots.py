"""The plots beside the artifacts, left out where matplotlib, an extra, is not installed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from frostnas.artifacts import BlockResult, Evaluation, LadderResult, NetResult, ParetoRow

log = logging.getLogger(__name__)


def draw_block(result: BlockResult, folder: Path) -> None:
    """`block` and `block_history` in ``folder``."""
    if _can_draw(folder / "block.svg"):
        from frostnas.report.block_plots import write_block_plots

        write_block_plots(result, folder)


def draw_pareto(result: NetResult, rows: Sequence[ParetoRow], folder: Path) -> None:
    """`pareto` in ``folder``."""
    if _can_draw(folder / "pareto.svg"):
        from frostnas.report.pareto_plot import save_pareto_plot

        save_pareto_plot(folder, result, rows)


def draw_training(metrics: Path, folder: Path) -> None:
    """`training.png` and `ranges.png` in ``folder``, from the figures of the training in ``metrics``."""
    if _can_draw(folder / "training.png"):
        from frostnas.report.range_plot import save_range_plot
        from frostnas.report.training_plot import save_training_plot

        save_training_plot(metrics / "train.csv", folder / "training.png")
        save_range_plot(metrics / "ranges.csv", folder / "ranges.png")


def draw_ladder(result: LadderResult, path: Path) -> None:
    """Accuracy against latency of the ladder as ``path``."""
    if _can_draw(path):
        from frostnas.report.ladder_plot import save_ladder_plot

        save_ladder_plot(result, path)


def draw_confusion(result: Evaluation, path: Path) -> None:
    """The confusion matrix of an evaluation as ``path``."""
    if _can_draw(path):
        from frostnas.report.confusion_plot import save_confusion_plot

        save_confusion_plot(result, path)


def _can_draw(path: Path) -> bool:
    """Whether there is matplotlib; a board, and a machine that only trains, may do without."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        log.warning("%s: not drawn: %s; `pip install 'frostnas[report]'` brings what draws it", path, error)
        return False
    return True
