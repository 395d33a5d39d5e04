"""From the `data` config to splits on a device: one function per kind of data set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from frostnas.artifacts import ImageFormat
from frostnas.config import DataConfig, DataName
from frostnas.data import digits, hard_digits
from frostnas.data.builder import Builder
from frostnas.data.folder import IMAGENET_MEAN, IMAGENET_STD, Listing, image_root, list_classes, split_folders
from frostnas.data.images import Splits
from frostnas.data.pictures import FilePictures, Pictures
from frostnas.data.split import Indices, three_ways, two_ways
from frostnas.data.vision import PUBLIC, read_public
from frostnas.errors import InputError


def load(config: DataConfig, device: torch.device) -> Splits:
    """Read and split the data set that ``config`` names.

    Raises:
        InputError: the data set is missing or damaged, or cannot be split as asked.
    """
    return LOADERS[config.name](config, device)


def _digits(config: DataConfig, device: torch.device) -> Splits:
    build = Builder(config, device, ImageFormat(digits.CLASSES, config.image_size, digits.MEAN, digits.STD))
    return _split_three_ways(build, *digits.digits(config.image_size))


def _hard_digits(config: DataConfig, device: torch.device) -> Splits:
    mean, std = hard_digits.MEAN, hard_digits.STD
    build = Builder(config, device, ImageFormat(digits.CLASSES, config.image_size, mean, std))
    ways = three_ways(digits.digit_scans()[1], config)
    return build.splits([build.memory(*hard_digits.rendered(ways, part, config)) for part in range(3)], ways[2])


def _public(config: DataConfig, device: torch.device) -> Splits:
    learned = read_public(config, train=True)
    held_out = read_public(config, train=False)
    public = PUBLIC[config.name]
    build = Builder(config, device, ImageFormat(learned.classes, config.image_size, public.mean, public.std))
    parts = build.parts(learned.pictures, learned.labels, two_ways(learned.labels, config))
    return build.splits([*parts, build.images(held_out.pictures, held_out.labels)])


def _imagefolder(config: DataConfig, device: torch.device) -> Splits:
    """`root/train` with `root/test` or `root/val` or both, or class folders right under the root."""
    root = image_root(config)
    folders = split_folders(root)
    if not folders:
        return _one_folder(list_classes(root, config), config, device)
    names = list(folders)
    if names == ["train"] or "train" not in names:
        raise InputError(f"data.root={config.root}: has {' and '.join(names)} alone; expected train, and val or test")
    listings = [list_classes(folder, config) for folder in folders.values()]
    learned, skipped = listings[0], sum(listing.skipped for listing in listings)
    for listing in listings[1:]:
        odd = sorted(set(listing.classes) ^ set(learned.classes))
        if odd:
            raise InputError(f"data.root={config.root}: class folders of {', '.join(names)} differ: {', '.join(odd)}")
    build = _folder_builder(learned, config, device)
    rest = [build.images(FilePictures(one.paths), np.asarray(one.labels)) for one in listings[1:]]
    pictures, labels = FilePictures(learned.paths), np.asarray(learned.labels)
    if len(rest) == 2:
        return build.splits([*build.parts(pictures, labels, [np.arange(len(labels))]), *rest], skipped=skipped)
    # A single held-out folder is for the final numbers; choices are made on a part of the training images.
    parts = build.parts(pictures, labels, two_ways(labels, config))
    return build.splits([*parts, *rest], skipped=skipped)


def _one_folder(listing: Listing, config: DataConfig, device: torch.device) -> Splits:
    build = _folder_builder(listing, config, device)
    return _split_three_ways(build, FilePictures(listing.paths), np.asarray(listing.labels), listing.skipped)


def _split_three_ways(build: Builder, pictures: Pictures, labels: Indices, skipped: int = 0) -> Splits:
    ways = three_ways(labels, build.config)
    return build.splits(build.parts(pictures, labels, ways), ways[2], skipped)


def _folder_builder(listing: Listing, config: DataConfig, device: torch.device) -> Builder:
    return Builder(config, device, ImageFormat(listing.classes, config.image_size, IMAGENET_MEAN, IMAGENET_STD))


LOADERS: dict[DataName, Callable[[DataConfig, torch.device], Splits]] = {
    DataName.digits: _digits,
    DataName.hard_digits: _hard_digits,
    DataName.cifar10: _public,
    DataName.cifar100: _public,
    DataName.fashion_mnist: _public,
    DataName.imagefolder: _imagefolder,
}
