"""`frostnas evaluate`: an exported file on labelled images. Needs no torch, so that it runs on the board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frostnas.artifacts import Evaluation
from frostnas.cli.of_run import keys_of, names_data
from frostnas.cli.outcome import Outcome, writing
from frostnas.config import Config
from frostnas.evaluation.evaluate import evaluated, file_of
from frostnas.report.confusion import save_counts
from frostnas.report.grids import evaluation_grids
from frostnas.report.plots import draw_confusion
from frostnas.report.tables import view


def evaluate(config: Config, overrides: Sequence[str], path: Path | None, out: Path | None = None) -> Outcome:
    """Score an exported file, or a run's INT8 file, on the run's own images or on those that the command line names.

    The confusion matrix goes into ``out``, or else beside the file, as `<file>.confusion.csv` and, where there is
    matplotlib, `.png`, after the result was shown.
    """
    file = file_of(config, path)
    share = "data.test_fraction" in keys_of(overrides)
    result = evaluated(config, file, others=names_data(overrides), share=share)
    return Outcome(result, view(*evaluation_grids(result)), lambda: _write(result, out or file.parent, file.stem))


def _write(result: Evaluation, folder: Path, stem: str) -> None:
    with writing(folder):
        save_counts(result, folder / f"{stem}.confusion.csv")
        draw_confusion(result, folder / f"{stem}.confusion.png")
