"""The test split of a data set as pictures, so that a board reads it without torch.

What a data set needs besides numpy and Pillow is imported where it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from frostnas.artifacts import ClassImages
from frostnas.config import DataConfig, DataName
from frostnas.data.folder import image_root, list_classes, split_folders
from frostnas.data.identity import TEST, WHOLE, of_files, of_pixels
from frostnas.data.pictures import ArrayPictures, FilePictures, Pictures, fit_all
from frostnas.data.split import Indices, three_ways
from frostnas.errors import InputError
from frostnas.picture import Bytes


@dataclass(frozen=True)
class HeldOut:
    """The pictures that `Splits.test` is made of, in the same order."""

    classes: tuple[str, ...]
    pictures: Pictures
    labels: Indices
    """Of all pictures, int64 (N,)."""
    indices: Indices
    """Which of the pictures are held out, int64 (M,)."""
    images: tuple[ClassImages, ...]
    """What all of the pictures are known by again; of parts that were not looked at there are none."""

    @classmethod
    def whole(
        cls, classes: tuple[str, ...], pictures: Pictures, labels: Indices, images: tuple[ClassImages, ...]
    ) -> HeldOut:
        """All of the pictures."""
        return cls(classes, pictures, labels, np.arange(len(labels)), images)

    def batches(self, batch_size: int, config: DataConfig) -> Iterator[tuple[Bytes, Indices]]:
        """Pixels uint8 (B, 3, S, S) and classes int64 (B,) in order."""
        for start in range(0, len(self.indices), batch_size):
            where = self.indices[start : start + batch_size]
            yield fit_all(self.pictures, where.tolist(), config.image_size, config.workers), self.labels[where]


def held_out(config: DataConfig) -> HeldOut:
    """The test split of the data set that ``config`` names, as `frostnas.data.load` makes it.

    Raises:
        InputError: the data set is missing or damaged, cannot be split as asked, or needs a package that is not there.
    """
    try:
        return READERS[config.name](config)
    except ModuleNotFoundError as error:
        raise InputError(
            f"data={config.name.value}: cannot be read without the package {error.name}, which is not installed; "
            "expected data=imagefolder with a val or test folder, which needs no more than Pillow"
        ) from None


def _digits(config: DataConfig) -> HeldOut:
    from frostnas.data import digits  # it needs scikit-learn

    pictures, labels = digits.digits(config.image_size)
    images = of_pixels(*digits.digit_scans(), digits.CLASSES)
    return HeldOut(digits.CLASSES, pictures, labels, three_ways(labels, config)[2], images)


def _imagefolder(config: DataConfig) -> HeldOut:
    """Of folders of splits only the one to test on is looked at: a board need not hold the others."""
    root = image_root(config)
    folders = split_folders(root)
    if list(folders) == ["train"]:
        raise InputError(f"data.root={config.root}: has train alone; expected val or test beside it")
    listing = list_classes(list(folders.values())[-1] if folders else root, config)
    pictures, labels = FilePictures(listing.paths), np.asarray(listing.labels)
    if folders:
        return HeldOut.whole(listing.classes, pictures, labels, of_files(listing, TEST))
    return HeldOut(listing.classes, pictures, labels, three_ways(labels, config)[2], of_files(listing, WHOLE))


def _hard_digits(config: DataConfig) -> HeldOut:
    from frostnas.data import digits, hard_digits  # they need torch

    scans, classes = digits.digit_scans()
    pixels, labels = hard_digits.rendered(three_ways(classes, config), 2, config)
    images = of_pixels(scans, classes, digits.CLASSES)
    return HeldOut.whole(digits.CLASSES, ArrayPictures(pixels.permute(0, 2, 3, 1).numpy()), labels.numpy(), images)


def _public(config: DataConfig) -> HeldOut:
    from frostnas.data.vision import read_public  # it needs torchvision

    part = read_public(config, train=False)
    images = of_pixels(part.pictures.pixels, part.labels, part.classes, TEST)
    return HeldOut.whole(part.classes, part.pictures, part.labels, images)


READERS: dict[DataName, Callable[[DataConfig], HeldOut]] = {
    DataName.digits: _digits,
    DataName.hard_digits: _hard_digits,
    DataName.cifar10: _public,
    DataName.cifar100: _public,
    DataName.fashion_mnist: _public,
    DataName.imagefolder: _imagefolder,
}
