"""An exported file on labelled images: accuracy per class, from the runtime's own logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frostnas.artifacts import ClassScore, ImageFormat
from frostnas.data import Images
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.errors import InputError

BATCH = 256


def renormalise(images: NDArray[np.float32], was: ImageFormat, wanted: ImageFormat) -> NDArray[np.float32]:
    """Images (N, 3, S, S) normalised for one network, normalised for another."""
    if (was.mean, was.std) == (wanted.mean, wanted.std):
        return images
    pixels = images * _per_channel(was.std) + _per_channel(was.mean)
    result: NDArray[np.float32] = (pixels - _per_channel(wanted.mean)) / _per_channel(wanted.std)
    return result


def _per_channel(values: tuple[float, float, float]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(1, 3, 1, 1)


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


def answer(model: OnnxClassifier, images: Images, given: ImageFormat) -> Answers:
    """Run a data set through an exported file.

    Raises:
        InputError: the data's classes are not those of the file.
    """
    if given.classes != model.images.classes:
        raise InputError(
            f"data: has classes {', '.join(given.classes[:5])}…; the file was trained for "
            f"{', '.join(model.images.classes[:5])}…"
        )
    labels, ranked = [], []
    for batch, label in images.batches(BATCH):
        logits = model.logits(renormalise(batch.cpu().numpy(), given, model.images))
        ranked.append(np.argsort(-logits, axis=1, kind="stable")[:, :5])
        labels.append(label.cpu().numpy())
    return Answers(np.concatenate(labels), np.concatenate(ranked))
