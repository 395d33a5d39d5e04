"""How large the pictures of a data set are, before any of them is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median_low

from PIL import Image

from frostnas.config import DataConfig, DataName
from frostnas.data import digits, hard_digits
from frostnas.data.folder import class_folders
from frostnas.data.identity import TRAIN
from frostnas.data.layout import image_root, layout_of
from frostnas.data.vision import read_public
from frostnas.data.walk import files_under
from frostnas.errors import InputError

LOOKED_AT = 256
"""Files whose sizes are looked up, evenly spread over all."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What the training pictures have."""

    shorter: int
    """The median of their shorter sides, pixels."""
    classes: int


def sides_of(config: DataConfig) -> Sides:
    """The sides of the pictures that ``config`` names.

    Raises:
        InputError: the data set is missing, or none of its files says how large it is.
    """
    return SIDES[config.name](config)


def _public(config: DataConfig) -> Sides:
    part = read_public(config, train=True)
    return Sides(min(part.pictures.pixels.shape[1:3]), len(part.classes))


def _imagefolder(config: DataConfig) -> Sides:
    root = image_root(config)
    folders = class_folders(layout_of(root).folders.get(TRAIN, root), config)
    files = [file for folder in folders.values() for file in files_under(folder)]
    found = []
    for file in files[:: max(1, len(files) // LOOKED_AT)]:
        try:
            with Image.open(file) as image:  # which reads no pixels
                found.append(min(image.size))
        except Exception:  # what is no image is named where all are read
            continue
    if not found:
        raise InputError(f"data.root={config.root}: holds no readable image in a class folder")
    return Sides(median_low(found), len(folders))


SIDES: dict[DataName, Callable[[DataConfig], Sides]] = {
    DataName.digits: lambda config: Sides(digits.SIDE, len(digits.CLASSES)),
    DataName.hard_digits: lambda config: Sides(hard_digits.SIZE, len(digits.CLASSES)),
    DataName.cifar10: _public,
    DataName.cifar100: _public,
    DataName.fashion_mnist: _public,
    DataName.imagefolder: _imagefolder,
}
