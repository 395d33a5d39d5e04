"""From the `data` config to splits on a device: one function per kind of data set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from frostnas.artifacts import ImageFormat
from frostnas.config import DataConfig, DataName
from frostnas.data import digits, hard_digits
from frostnas.data.builder import Builder
from frostnas.data.folder import Listing, image_root, list_classes
from frostnas.data.images import Splits
from frostnas.data.pictures import FilePictures
from frostnas.data.vision import PUBLIC, read_public
from frostnas.errors import InputError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DIGITS = tuple(map(str, range(10)))


def load(config: DataConfig, device: torch.device) -> Splits:
    """Read and split the data set that ``config`` names.

    Raises:
        InputError: the data set is missing or damaged, or cannot be split as asked.
    """
    return LOADERS[config.name](config, device)


def _digits(config: DataConfig, device: torch.device) -> Splits:
    build = Builder(config, device, ImageFormat(DIGITS, config.image_size, digits.MEAN, digits.STD))
    pixels, labels = digits.digits(config.image_size)
    every = build.memory(pixels, labels)
    ways = build.three_ways(labels.numpy())
    return build.splits([every.subset(torch.from_numpy(part)) for part in ways], ways[2])


def _hard_digits(config: DataConfig, device: torch.device) -> Splits:
    """The scans are split before they are rendered, so that none is both learned from and tested on."""
    build = Builder(config, device, ImageFormat(DIGITS, config.image_size, hard_digits.MEAN, hard_digits.STD))
    scans, labels = digits.digit_pixels()
    ways = build.three_ways(labels.numpy())
    parts = []
    for number, part in enumerate(map(torch.from_numpy, ways)):
        pixels = hard_digits.render(scans[part], config.image_size, seed=3 * config.split_seed + number)
        parts.append(build.memory(pixels, labels[part].repeat(hard_digits.VIEWS)))
    return build.splits(parts, ways[2])


def _public(config: DataConfig, device: torch.device) -> Splits:
    learned = read_public(config, train=True)
    held_out = read_public(config, train=False)
    public = PUBLIC[config.name]
    build = Builder(config, device, ImageFormat(learned.classes, config.image_size, public.mean, public.std))
    parts = [build.images(learned.pictures, learned.labels, part) for part in build.two_ways(learned.labels)]
    return build.splits([*parts, build.images(held_out.pictures, held_out.labels)])


def _imagefolder(config: DataConfig, device: torch.device) -> Splits:
    """`root/train` with `root/test` or `root/val` or both, or class folders right under the root."""
    root = image_root(config)
    if not (root / "train").is_dir():
        return _one_folder(list_classes(root, config), config, device)
    names = [name for name in ("train", "val", "test") if (root / name).is_dir()]
    if names == ["train"]:
        raise InputError(f"data.root={config.root}: has a train folder alone; expected val or test beside it")
    listings = [list_classes(root / name, config) for name in names]
    learned, skipped = listings[0], sum(listing.skipped for listing in listings)
    for listing in listings[1:]:
        odd = sorted(set(listing.classes) ^ set(learned.classes))
        if odd:
            raise InputError(f"data.root={config.root}: class folders of {', '.join(names)} differ: {', '.join(odd)}")
    build = _folder_builder(learned, config, device)
    rest = [build.images(FilePictures(one.paths), np.asarray(one.labels)) for one in listings[1:]]
    pictures, labels = FilePictures(learned.paths), np.asarray(learned.labels)
    if len(rest) == 2:
        return build.splits([build.images(pictures, labels), *rest], skipped=skipped)
    # A single held-out folder is for the final numbers; choices are made on a part of the training images.
    parts = [build.images(pictures, labels, part) for part in build.two_ways(labels)]
    return build.splits([*parts, *rest], skipped=skipped)


def _one_folder(listing: Listing, config: DataConfig, device: torch.device) -> Splits:
    build = _folder_builder(listing, config, device)
    pictures, labels = FilePictures(listing.paths), np.asarray(listing.labels)
    ways = build.three_ways(labels)
    return build.splits([build.images(pictures, labels, part) for part in ways], ways[2], listing.skipped)


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
