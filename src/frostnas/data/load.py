"""From the `data` config to splits on a device."""

from __future__ import annotations

import torch

from frostnas.artifacts import ImageFormat, SplitRecord
from frostnas.config import DataConfig, DataName
from frostnas.data.digits import MEAN, STD, digits
from frostnas.data.images import Splits
from frostnas.data.memory import MemoryImages
from frostnas.data.split import stratified
from frostnas.errors import InputError


def load(config: DataConfig, device: torch.device) -> Splits:
    """Read and split the data set that ``config`` names.

    Raises:
        InputError: the data set is missing or cannot be split as asked.
    """
    if config.name is not DataName.digits:
        raise InputError(f"data.name={config.name.value}: expected digits")
    pixels, labels = digits(config.image_size)
    image_format = ImageFormat(tuple(map(str, range(10))), config.image_size, MEAN, STD)
    rest, test = stratified(labels.numpy(), config.test_fraction, config.split_seed, "data.test_fraction")
    train, val = stratified(labels.numpy()[rest], config.val_fraction, config.split_seed, "data.val_fraction")
    every = MemoryImages(pixels.to(device), labels.to(device), image_format, config.augment)
    record = SplitRecord(
        data=config.name.value,
        seed=config.split_seed,
        train=len(train),
        val=len(val),
        test=len(test),
        test_fraction=config.test_fraction,
        test_indices=tuple(test.tolist()),
    )
    parts = [every.subset(torch.from_numpy(part)) for part in (rest[train], rest[val], test)]
    return Splits(image_format, record, *parts)
