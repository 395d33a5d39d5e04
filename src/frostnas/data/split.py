"""Which images are held out: stratified, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostnas.config import DataConfig
from frostnas.errors import InputError

Indices = npt.NDArray[np.int64]


def stratified(labels: Indices, fraction: float, seed: int, key: str) -> tuple[Indices, Indices]:
    """Positions of the images that stay and of those held out, each sorted; every class keeps its share.

    Args:
        labels: class of every image, int64 (N,).
        key: the config key that ``fraction`` came from, for the error message.

    Raises:
        InputError: a class has too few images, or the held-out part cannot hold one of each class.
    """
    from sklearn.model_selection import train_test_split  # here: a folder that is split already needs none

    try:
        kept, held_out = train_test_split(
            np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise InputError(f"{key}={fraction}: cannot split {len(labels)} images so ({error})") from None
    return np.sort(kept), np.sort(held_out)


def two_ways(labels: Indices, config: DataConfig) -> tuple[Indices, Indices]:
    """Positions to train on and to choose on."""
    return stratified(labels, config.val_fraction, config.split_seed, "data.val_fraction")


def three_ways(labels: Indices, config: DataConfig) -> tuple[Indices, Indices, Indices]:
    """Positions to train on, to choose on and to test on."""
    rest, test = stratified(labels, config.test_fraction, config.split_seed, "data.test_fraction")
    train, val = two_ways(labels[rest], config)
    return rest[train], rest[val], test
