"""What `frostnas evaluate` finds out of an exported file, as a function for programs of one's own."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from frostnas.artifacts import Evaluation, Throughput
from frostnas.config import Config
from frostnas.config.compose import typed
from frostnas.deploy.runtime import INT8_NAME, OnnxClassifier
from frostnas.evaluation.answers import answer, confusion_matrix, scores, worst
from frostnas.evaluation.scored import check_exported, to_score
from frostnas.latency import measure_files

BATCHES = (1, 4, 16, 64)
LEAST_MS = 1e-3  # of a batch: on a busy machine a tiny network may take no more than the empty one that is subtracted

log = logging.getLogger(__name__)


def evaluate(config: Config, path: Path | str | None = None) -> Evaluation:
    """An exported file on labelled images: accuracy, its surest mistakes, latency, size. Writes nothing.

    On the images that the run's training has held out; where `config.data` names other data, on those: on their test
    split, or on all of them. Needs no torch.

    Args:
        path: a run directory or an exported file; by default `config.run_dir`, of which the INT8 file is taken.

    Raises:
        InputError: a value of the config, a file that is damaged or not there, or images that are not the run's any
            more.
    """
    return evaluated(typed(OmegaConf.structured(config)), file_of(config, path))


def file_of(config: Config, path: Path | str | None) -> Path:
    """The exported file that is meant by ``path``, a run or a file, else by `run_dir`."""
    place = Path(config.run_dir if path is None else path)
    return place / INT8_NAME if path is None or place.is_dir() else place


def evaluated(config: Config, file: Path, *, others: bool = True, share: bool = False) -> Evaluation:
    """Score ``file`` on the images that `to_score` finds for it, and time it."""
    check_exported(file)
    model = OnnxClassifier(file, config.latency.threads)
    data = replace(config.data, image_size=model.images.image_size)
    scored = to_score(data, file.parent, model.images, others=others, share=share)
    for note in scored.pictures.notes:
        log.warning("data: %s", note)
    answers = answer(model, scored.pictures, scored.config)
    classes = model.images.classes
    confusion = confusion_matrix(answers.labels, answers.ranked[:, 0], len(classes))
    right = answers.ranked == answers.labels[:, None]
    share_of_largest = int(confusion.sum(1).max()) / len(answers.labels)
    if right[:, 0].mean() <= share_of_largest:
        log.warning(
            "top-1 of %.2f%% is no better than always answering the largest class (%.2f%%)",
            100 * right[:, 0].mean(),
            100 * share_of_largest,
        )
    timings = [measure_files([file], config.latency, batch)[0] for batch in BATCHES]
    return Evaluation(
        path=str(file),
        images=len(answers.labels),
        part=scored.part,
        top1=float(right[:, 0].mean()),
        top5=float(right.any(1).mean()),
        classes=scores(confusion, classes),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        latency_ms_p50=timings[0].p50,
        latency_ms_p90=timings[0].p90,
        throughput=tuple(
            Throughput(batch, 1e3 * batch / max(one.p50, LEAST_MS)) for batch, one in zip(BATCHES, timings, strict=True)
        ),
        size_bytes=file.stat().st_size,
        mistakes=worst(answers, scored.pictures, classes),
    )
