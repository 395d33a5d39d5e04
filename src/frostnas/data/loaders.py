"""From the `data` config to splits on a device: one function per kind of data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from frostnas.artifacts import IMAGENET, ImageFormat, Normalisation
from frostnas.config import DataConfig, DataName
from frostnas.data import digits, hard_digits
from frostnas.data.builder import Builder
from frostnas.data.folder import Listing, image_root, list_classes, split_folders
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
    return ImageFormat(classes, config.image_size, chosen.mean, chosen.std)


def _digits(config: DataConfig, device: torch.device) -> Splits:
    build = Builder(config, device, _format(config, digits.CLASSES, Normalisation(digits.MEAN, digits.STD)))
    return _split_three_ways(build, *digits.digits(config.image_size))


def _hard_digits(config: DataConfig, device: torch.device) -> Splits:
    own = Normalisation(hard_digits.MEAN, hard_digits.STD)
    build = Builder(config, device, _format(config, digits.CLASSES, own))
    ways = three_ways(digits.digit_scans()[1], config)
    return build.splits([build.memory(*hard_digits.rendered(ways, part, config)) for part in range(3)], ways[2])


def _public(config: DataConfig, device: torch.device) -> Splits:
    learned = read_public(config, train=True)
    held_out = read_public(config, train=False)
    public = PUBLIC[config.name]
    build = Builder(config, device, _format(config, learned.classes, Normalisation(public.mean, public.std)))
    parts = [build.images(learned.pictures, learned.labels, part) for part in two_ways(learned.labels, config)]
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
        return build.splits([build.images(pictures, labels), *rest], skipped=skipped)
    # A single held-out folder is for the final numbers; choices are made on a part of the training images.
    parts = [build.images(pictures, labels, part) for part in two_ways(labels, config)]
    return build.splits([*parts, *rest], skipped=skipped)


def _one_folder(listing: Listing, config: DataConfig, device: torch.device) -> Splits:
    build = _folder_builder(listing, config, device)
    return _split_three_ways(build, FilePictures(listing.paths), np.asarray(listing.labels), listing.skipped)


def _split_three_ways(build: Builder, pictures: Pictures, labels: Indices, skipped: int = 0) -> Splits:
    ways = three_ways(labels, build.config)
    return build.splits([build.images(pictures, labels, part) for part in ways], ways[2], skipped)


def _folder_builder(listing: Listing, config: DataConfig, device: torch.device) -> Builder:
    return Builder(config, device, _format(config, listing.classes, IMAGENET))


LOADERS: dict[DataName, Callable[[DataConfig, torch.device], Splits]] = {
    DataName.digits: _digits,
    DataName.hard_digits: _hard_digits,
    DataName.cifar10: _public,
    DataName.cifar100: _public,
    DataName.fashion_mnist: _public,
    DataName.imagefolder: _imagefolder,
}
