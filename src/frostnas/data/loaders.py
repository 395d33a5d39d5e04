"""From the `data` config to splits on a device: one function per kind of data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from frostnas.artifacts import IMAGENET, ClassImages, ImageFormat, Normalisation, Reading
from frostnas.config import DataConfig, DataName
from frostnas.config.data import check_place
from frostnas.data import digits, hard_digits
from frostnas.data.builder import TO_TRAIN, Builder
from frostnas.data.duplicates import duplicate_notes
from frostnas.data.folder import Listing, list_classes
from frostnas.data.identity import TEST, TRAIN, VAL, WHOLE, of_files, of_pixels
from frostnas.data.images import Splits
from frostnas.data.layout import image_root, layout_of
from frostnas.data.pictures import FilePictures, Pictures
from frostnas.data.reading import find_reading
from frostnas.data.split import Indices, three_ways, two_ways
from frostnas.data.vision import PUBLIC, read_public
from frostnas.errors import InputError


def load(config: DataConfig, device: torch.device) -> Splits:
    """Read and split the data set that ``config`` names.

    Raises:
        InputError: the data set is missing or damaged, or cannot be split as asked.
    """
    check_place(config)
    return LOADERS[config.name](config, device)


def given_normalisation(key: str, mean: Sequence[float] | None, std: Sequence[float] | None) -> Normalisation | None:
    """What KEY.mean and KEY.std say; None where neither says anything.

    Raises:
        InputError: one says nothing, or they are not three numbers each.
    """
    if mean is None and std is None:
        return None
    if mean is None or std is None or (len(mean), len(std)) != (3, 3) or min(std) <= 0:
        raise InputError(f"{key}.mean={mean}, {key}.std={std}: expected three numbers each, those of std above 0")
    return Normalisation((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


def _format(config: DataConfig, classes: tuple[str, ...], own: Normalisation) -> ImageFormat:
    """The images as networks see them. Args: own: the data set's normalisation, unless the config has another."""
    chosen = given_normalisation("data", config.mean, config.std) or own
    return ImageFormat(classes, config.side, chosen.mean, chosen.std)


def _digits(config: DataConfig, device: torch.device) -> Splits:
    build = Builder(config, device, _format(config, digits.CLASSES, Normalisation(digits.MEAN, digits.STD)))
    pictures, labels = digits.digits(config.side)
    images = of_pixels(*digits.digit_scans(), digits.CLASSES)
    return _split(build, pictures, labels, three_ways(labels, digits.CLASSES, config), images)


def _hard_digits(config: DataConfig, device: torch.device) -> Splits:
    own = Normalisation(hard_digits.MEAN, hard_digits.STD)
    build = Builder(config, device, _format(config, digits.CLASSES, own))
    scans, labels = digits.digit_scans()
    ways = three_ways(labels, digits.CLASSES, config)
    parts = [build.memory(*hard_digits.rendered(ways, part, config)) for part in range(3)]
    return build.splits(parts, of_pixels(scans, labels, digits.CLASSES), ways[2])


def _public(config: DataConfig, device: torch.device) -> Splits:
    learned = read_public(config, train=True)
    held_out = read_public(config, train=False)
    public = PUBLIC[config.name]
    build = Builder(config, device, _format(config, learned.classes, Normalisation(public.mean, public.std)))
    ways = two_ways(learned.labels, learned.classes, config)
    parts = [
        build.images(learned.pictures, learned.labels, part, train=train)
        for part, train in zip(ways, TO_TRAIN[:2], strict=True)
    ]
    images = [
        of_pixels(one.pictures.pixels, one.labels, one.classes, part)
        for part, one in ((TRAIN, learned), (TEST, held_out))
    ]
    return build.splits([*parts, build.images(held_out.pictures, held_out.labels)], (*images[0], *images[1]))


def _imagefolder(config: DataConfig, device: torch.device) -> Splits:
    """A folder per split, as `layout_of` finds them, or class folders right under the root."""
    root = image_root(config)
    layout = layout_of(root)
    folders = layout.folders
    if not folders:
        return _one_folder(list_classes(root, config), config, device)
    if TRAIN not in folders or TEST not in folders:
        names = " and ".join(folder.name for folder in folders.values())
        raise InputError(f"data.root={config.root}: has {names} alone; expected train, and val or test")
    learned = list_classes(folders[TRAIN], config)
    others = {part: list_classes(folders[part], config, learned.classes) for part in (VAL, TEST) if part in folders}
    listings = {TRAIN: learned, **others}
    reading, notes = find_reading([look for one in listings.values() for look in one.looks], config)
    build = _folder_builder(learned.classes, reading, config, device)
    ways = {part: (one, np.arange(len(one.labels))) for part, one in listings.items()}
    if VAL not in ways:  # a single held-out folder is for the final numbers
        trained, chosen = two_ways(learned.labels, learned.classes, config)
        ways |= {TRAIN: (learned, trained), VAL: (learned, chosen)}
    return build.splits(
        [
            build.images(FilePictures(one.paths, reading), one.labels, where, train=train)
            for (one, where), train in zip(_in_order(ways), TO_TRAIN, strict=True)
        ],
        tuple(image for part, one in listings.items() for image in of_files(one, part)),
        skipped=sum(one.skipped for one in listings.values()),
        notes=[layout.note, *notes, *_copies(ways)],
    )


def _one_folder(listing: Listing, config: DataConfig, device: torch.device) -> Splits:
    reading, notes = find_reading(listing.looks, config)
    build = _folder_builder(listing.classes, reading, config, device)
    pictures, images = FilePictures(listing.paths, reading), of_files(listing, WHOLE)
    parts = three_ways(listing.labels, listing.classes, config)
    copies = _copies({part: (listing, where) for part, where in zip((TRAIN, VAL, TEST), parts, strict=True)})
    return _split(build, pictures, listing.labels, parts, images, listing.skipped, [*notes, *copies])


Ways = dict[str, tuple[Listing, Indices]]
"""Of every part, the positions of its images in a listing."""


def _in_order(ways: Ways) -> list[tuple[Listing, Indices]]:
    return [ways[part] for part in (TRAIN, VAL, TEST)]


def _copies(ways: Ways) -> list[str]:
    """What there is to say of files that lie in several parts or classes."""
    return duplicate_notes(
        {part: [(one.looks[at], int(one.labels[at])) for at in where.tolist()] for part, (one, where) in ways.items()}
    )


def _split(
    build: Builder,
    pictures: Pictures,
    labels: Indices,
    parts: tuple[Indices, Indices, Indices],
    images: tuple[ClassImages, ...],
    skipped: int = 0,
    notes: Sequence[str] = (),
) -> Splits:
    split = [build.images(pictures, labels, part, train=train) for part, train in zip(parts, TO_TRAIN, strict=True)]
    return build.splits(split, images, parts[2], skipped, notes)


def _folder_builder(classes: tuple[str, ...], reading: Reading, config: DataConfig, device: torch.device) -> Builder:
    return Builder(config, device, replace(_format(config, classes, IMAGENET), reading=reading))


LOADERS: dict[DataName, Callable[[DataConfig, torch.device], Splits]] = {
    DataName.digits: _digits,
    DataName.hard_digits: _hard_digits,
    DataName.cifar10: _public,
    DataName.cifar100: _public,
    DataName.fashion_mnist: _public,
    DataName.imagefolder: _imagefolder,
}
