"""An exported file on labelled images: accuracy per class, from the runtime's own logits. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frostnas.artifacts import ClassScore, Mistake
from frostnas.config import DataConfig
from frostnas.data.folder import strange_classes
from frostnas.data.held_out import HeldOut
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.errors import InputError
from frostnas.picture import normalised

BATCH, BATCH_PIXELS = 256, 2**18
"""The most images, and the most pixels, that go through the network at once."""


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
    """Labels int64 (N,), the five likeliest classes int64 (N, 5), likeliest first, and the likeliest's probability
    float64 (N,)."""

    labels: NDArray[np.int64]
    ranked: NDArray[np.int64]
    surest: NDArray[np.float64]


def answer(model: OnnxClassifier, given: HeldOut, config: DataConfig) -> Answers:
    """Run a data set, at the network's image size and scale, through an exported file.

    Raises:
        InputError: the data has a class that the file does not know.
    """
    images, labels, ranked, surest = model.images, [], [], []
    strange = [name for name in given.classes if name not in images.classes]
    if strange:
        raise InputError(f"data={config.name.value}: {strange_classes(strange, images.classes, given.classes)}")
    place = np.array([images.classes.index(name) for name in given.classes])  # of a data set that may lack some
    batch = max(1, min(BATCH, BATCH_PIXELS // images.image_size**2))
    for pixels, label in given.batches(batch, config):
        chances = model.chances(normalised(pixels, images.mean, images.std))
        ranked.append(np.argsort(-chances, axis=1, kind="stable")[:, :5])
        surest.append(chances.max(1))
        labels.append(place[label])
    return Answers(np.concatenate(labels), np.concatenate(ranked), np.concatenate(surest))


def worst(answers: Answers, given: HeldOut, names: tuple[str, ...], count: int = 10) -> tuple[Mistake, ...]:
    """The wrong answers that the network was surest of, surest first."""
    wrong = np.flatnonzero(answers.ranked[:, 0] != answers.labels)
    order = wrong[np.argsort(-answers.surest[wrong], kind="stable")][:count]
    return tuple(
        Mistake(given.name(i), names[answers.labels[i]], names[answers.ranked[i, 0]], float(answers.surest[i]))
        for i in order.tolist()
    )
