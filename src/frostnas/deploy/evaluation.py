"""An exported file on labelled images: accuracy per class, from the runtime's own logits. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frostnas.artifacts import ClassScore
from frostnas.config import DataConfig
from frostnas.data.folder import strange_classes
from frostnas.data.held_out import HeldOut
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.errors import InputError
from frostnas.picture import normalised

BATCH = 256


def confusion_matrix(labels: NDArray[np.int64], named: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts (classes, classes) of true against named class."""
    return np.bincount(labels * classes + named, minlength=classes * classes).reshape(classes, classes)


def scores(confusion: NDArray[np.int64], names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """Precision and recall per class."""
    right, there, said = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    return tuple(
        ClassScore(name, int(n), float(hit / max(claimed, 1)), float(hit / max(n, 1)))
        for name, hit, n, claimed in zip(names, right, there, said, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels int64 (N,) and the five likeliest classes int64 (N, 5), likeliest first."""

    labels: NDArray[np.int64]
    ranked: NDArray[np.int64]


def answer(model: OnnxClassifier, given: HeldOut, config: DataConfig) -> Answers:
    """Run a data set, at the network's image size and scale, through an exported file.

    Raises:
        InputError: the data has a class that the file does not know.
    """
    images, labels, ranked = model.images, [], []
    strange = [name for name in given.classes if name not in images.classes]
    if strange:
        raise InputError(f"data={config.name.value}: {strange_classes(strange, images.classes, given.classes)}")
    place = np.array([images.classes.index(name) for name in given.classes])  # of a data set that may lack some
    for pixels, label in given.batches(BATCH, config):
        logits = model.logits(normalised(pixels, images.mean, images.std))
        ranked.append(np.argsort(-logits, axis=1, kind="stable")[:, :5])
        labels.append(place[label])
    return Answers(np.concatenate(labels), np.concatenate(ranked))
