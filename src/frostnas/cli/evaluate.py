"""`frostnas evaluate`: an exported file on labelled images. Needs no torch, so that it runs on the board."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frostnas.artifacts import Evaluation, Throughput
from frostnas.cli.of_run import run_of
from frostnas.cli.outcome import Outcome, writing
from frostnas.cli.scored import check_exported, to_score
from frostnas.config import Config
from frostnas.deploy.evaluation import answer, confusion_matrix, scores, worst
from frostnas.deploy.runtime import INT8_NAME, OnnxClassifier
from frostnas.latency import measure_files
from frostnas.report.confusion import save_counts
from frostnas.report.grids import evaluation_grids
from frostnas.report.tables import view

BATCHES = (1, 4, 16, 64)

log = logging.getLogger(__name__)


def evaluate(config: Config, overrides: Sequence[str], path: Path | None, out: Path | None = None) -> Outcome:
    """Score an exported file, or a run's INT8 file, on the images that `to_score` finds for it.

    The confusion matrix goes into ``out``, or else beside the file, as `<file>.confusion.csv` and, where there is
    matplotlib, `.png`, after the result was shown.
    """
    folder = run_of(config, path)
    file = folder / INT8_NAME if path is None or path.is_dir() else path
    check_exported(file)
    model = OnnxClassifier(file, config.latency.threads)
    scored = to_score(replace(config.data, image_size=model.images.image_size), overrides, folder, model.images)
    for note in scored.pictures.notes:
        log.warning("data: %s", note)
    answers = answer(model, scored.pictures, scored.config)
    classes = model.images.classes
    confusion = confusion_matrix(answers.labels, answers.ranked[:, 0], len(classes))
    right = answers.ranked == answers.labels[:, None]
    share = int(confusion.sum(1).max()) / len(answers.labels)
    if right[:, 0].mean() <= share:
        log.warning(
            "top-1 of %.2f%% is no better than always answering the largest class (%.2f%%)",
            100 * right[:, 0].mean(),
            100 * share,
        )
    timing, *others = (measure_files([file], config.latency, batch)[0] for batch in BATCHES)
    result = Evaluation(
        path=str(file),
        images=len(answers.labels),
        part=scored.part,
        top1=float(right[:, 0].mean()),
        top5=float(right.any(1).mean()),
        classes=scores(confusion, classes),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        latency_ms_p50=timing.p50,
        latency_ms_p90=timing.p90,
        throughput=tuple(
            Throughput(batch, 1e3 * batch / one.p50) for batch, one in zip(BATCHES, (timing, *others), strict=True)
        ),
        size_bytes=file.stat().st_size,
        mistakes=worst(answers, scored.pictures, classes),
    )
    return Outcome(result, view(*evaluation_grids(result)), lambda: _write(result, out or file.parent, file.stem))


def _write(result: Evaluation, folder: Path, stem: str) -> None:
    with writing(folder):
        save_counts(result, folder / f"{stem}.confusion.csv")
        _draw(result, folder / f"{stem}.confusion.png")


def _draw(result: Evaluation, path: Path) -> None:
    try:
        from frostnas.report.confusion_plot import save_confusion_plot
    except ModuleNotFoundError as error:  # a board may do without matplotlib
        log.warning("%s: not drawn: %s", path, error)
    else:
        save_confusion_plot(result, path)
