"""The test split of a data set as pictures, so that a board reads it without torch.

What a data set needs besides numpy and Pillow is imported where it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from frostnas.artifacts import ClassImages, ImageFormat
from frostnas.config import DataConfig, DataName
from frostnas.config.data import check_place
from frostnas.data.folder import list_classes
from frostnas.data.identity import TEST, TRAIN, WHOLE, of_files, of_pixels
from frostnas.data.layout import image_root, layout_of
from frostnas.data.pictures import ArrayPictures, FilePictures, Pictures, fit_all
from frostnas.data.reading import known_reading
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
    notes: tuple[str, ...] = ()
    """What a user should hear of them once, a sentence each."""

    @classmethod
    def whole(
        cls,
        classes: tuple[str, ...],
        pictures: Pictures,
        labels: Indices,
        images: tuple[ClassImages, ...],
        notes: tuple[str, ...] = (),
    ) -> HeldOut:
        """All of the pictures."""
        return cls(classes, pictures, labels, np.arange(len(labels)), images, notes)

    def name(self, place: int) -> str:
        """What to call the picture at ``place`` among those held out: its path, where it is a file."""
        index = int(self.indices[place])
        return str(self.pictures.paths[index]) if isinstance(self.pictures, FilePictures) else f"image {index}"

    def batches(self, batch_size: int, config: DataConfig) -> Iterator[tuple[Bytes, Indices]]:
        """Pixels uint8 (B, 3, S, S) and classes int64 (B,) in order."""
        for start in range(0, len(self.indices), batch_size):
            where = self.indices[start : start + batch_size]
            yield fit_all(self.pictures, where.tolist(), config.side, config.workers), self.labels[where]


def held_out(config: DataConfig, expected: ImageFormat) -> HeldOut:
    """The test split of the data set that ``config`` names, as `frostnas.data.load` makes it.

    Args:
        expected: what the network that is to see the pictures was trained with: folders are read by its rule, and
            may lack some of its classes.

    Raises:
        InputError: the data set is missing or damaged, has a class of its own, cannot be split as asked, or needs a
            package that is not there.
    """
    check_place(config)
    try:
        return READERS[config.name](config, expected)
    except ModuleNotFoundError as error:
        raise InputError(
            f"data={config.name.value}: cannot be read without the package {error.name}, which is not installed; "
            "expected data=imagefolder with a val or test folder, which needs no more than Pillow"
        ) from None


def _digits(config: DataConfig, expected: ImageFormat) -> HeldOut:
    from frostnas.data import digits  # it needs scikit-learn

    pictures, labels = digits.digits(config.side)
    images = of_pixels(*digits.digit_scans(), digits.CLASSES)
    return HeldOut(digits.CLASSES, pictures, labels, three_ways(labels, digits.CLASSES, config)[2], images)


def _imagefolder(config: DataConfig, expected: ImageFormat) -> HeldOut:
    """Of folders of splits only the one to test on is looked at: a board need not hold the others."""
    root = image_root(config)
    folders = layout_of(root).folders
    if folders and TEST not in folders:
        raise InputError(f"data.root={config.root}: has {folders[TRAIN].name} alone; expected val or test beside it")
    listing = list_classes(folders.get(TEST, root), config, expected.classes)
    reading, notes = known_reading(listing.looks, expected.reading, config)
    pictures, labels, classes = FilePictures(listing.paths, reading), listing.labels, listing.classes
    if folders:
        return HeldOut.whole(classes, pictures, labels, of_files(listing, TEST), tuple(notes))
    test = three_ways(labels, classes, config)[2]
    return HeldOut(classes, pictures, labels, test, of_files(listing, WHOLE), tuple(notes))


def _hard_digits(config: DataConfig, expected: ImageFormat) -> HeldOut:
    from frostnas.data import digits, hard_digits  # they need torch

    scans, classes = digits.digit_scans()
    pixels, labels = hard_digits.rendered(three_ways(classes, digits.CLASSES, config), 2, config)
    images = of_pixels(scans, classes, digits.CLASSES)
    return HeldOut.whole(digits.CLASSES, ArrayPictures(pixels.permute(0, 2, 3, 1).numpy()), labels.numpy(), images)


def _public(config: DataConfig, expected: ImageFormat) -> HeldOut:
    from frostnas.data.vision import read_public  # it needs torchvision

    part = read_public(config, train=False)
    images = of_pixels(part.pictures.pixels, part.labels, part.classes, TEST)
    return HeldOut.whole(part.classes, part.pictures, part.labels, images)


READERS: dict[DataName, Callable[[DataConfig, ImageFormat], HeldOut]] = {
    DataName.digits: _digits,
    DataName.hard_digits: _hard_digits,
    DataName.cifar10: _public,
    DataName.cifar100: _public,
    DataName.fashion_mnist: _public,
    DataName.imagefolder: _imagefolder,
}
