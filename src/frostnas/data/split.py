"""Which images are held out: stratified, and the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frostnas.config import DataConfig
from frostnas.errors import InputError

Indices = npt.NDArray[np.int64]
NAMED = 5  # classes in a message


def stratified(
    labels: Indices, classes: Sequence[str], fraction: float, seed: int, key: str
) -> tuple[Indices, Indices]:
    """Positions of the images that stay and of those held out, each sorted; every class keeps its share.

    Args:
        labels: class of every image, int64 (N,).
        classes: their names, for the error message.
        key: the config key that ``fraction`` came from, for the error message.

    Raises:
        InputError: a class has too few images, or the held-out part cannot hold one of each class.
    """
    from sklearn.model_selection import train_test_split  # here: a folder that is split already needs none

    try:
        kept, held_out = train_test_split(
            np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels
        )
    except ValueError:
        counts = np.bincount(labels, minlength=len(classes))
        raise InputError(f"{key}={fraction}: {_why_not(counts, classes, fraction)}") from None
    return np.sort(kept), np.sort(held_out)


def _why_not(counts: Indices, classes: Sequence[str], fraction: float) -> str:
    """Why images, so many of each class, cannot be split, and what would do."""
    few = [f"{name} ({count})" for name, count in zip(classes, counts.tolist(), strict=True) if 0 < count < 2]
    if few:
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        return f"too few images to split in class {', '.join(few[:NAMED])}{more}; expected at least 2 of each here"
    images, there = int(counts.sum()), int((counts > 0).sum())
    held = math.ceil(images * fraction)
    low, high = there / images, 1 - there / images
    wanted = (
        f"a fraction from {low:.3f} to {high:.3f}, or more images" if low <= high else f"at least {2 * there} images"
    )
    return (
        f"splits {images} images into {images - held} and {held}, which cannot hold one of each of {there} classes; "
        f"expected {wanted}"
    )


def two_ways(labels: Indices, classes: Sequence[str], config: DataConfig) -> tuple[Indices, Indices]:
    """Positions to train on and to choose on."""
    return stratified(labels, classes, config.val_fraction, config.split_seed, "data.val_fraction")


def three_ways(labels: Indices, classes: Sequence[str], config: DataConfig) -> tuple[Indices, Indices, Indices]:
    """Positions to train on, to choose on and to test on."""
    rest, test = stratified(labels, classes, config.test_fraction, config.split_seed, "data.test_fraction")
    train, val = two_ways(labels[rest], classes, config)
    return rest[train], rest[val], test
