"""Image folders: one folder per class."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from frostnas.config import DataConfig
from frostnas.errors import InputError
from frostnas.picture import read_picture

SPLITS = ("train", "val", "test")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """The readable images under a folder of class folders."""

    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    skipped: int
    """Files that were named in the log and left out."""


def image_root(config: DataConfig) -> Path:
    """`data.root` as a folder.

    Raises:
        InputError: there is none.
    """
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise InputError(f"data.root={config.root}: no such folder; expected one that holds a folder per class")
    return root


def split_folders(root: Path) -> dict[str, Path]:
    """Those of `SPLITS` that are folders under ``root``, by name; empty where class folders lie there instead."""
    found = {name: root / name for name in SPLITS if (root / name).is_dir()}
    return found if "train" in found or set(_folders(root)) == set(found) else {}


def _folders(parent: Path) -> list[str]:
    return sorted(one.name for one in parent.iterdir() if one.is_dir() and not one.name.startswith("."))


def list_classes(folder: Path, config: DataConfig) -> Listing:
    """Every image under ``folder``/<class>/, with all of them read once.

    Raises:
        InputError: there is no class, a class without a readable image, or (`data.strict`) a file that is not one.
    """
    classes = tuple(_folders(folder))
    if len(classes) < 2:
        raise InputError(f"data.root={config.root}: {folder} has {len(classes)} class folders; expected at least 2")
    paths: list[Path] = []
    labels: list[int] = []
    skipped = 0
    for label, name in enumerate(classes):
        files = sorted(one for one in (folder / name).rglob("*") if one.is_file() and not one.name.startswith("."))
        good = _readable(files, config)
        if not good:
            raise InputError(f"data.root={config.root}: class {folder / name} holds no readable image")
        skipped += len(files) - len(good)
        paths += good
        labels += [label] * len(good)
    if skipped:
        log.warning(
            "%s: %d of %d files cannot be read as images and are skipped", folder, skipped, skipped + len(paths)
        )
    return Listing(classes, tuple(paths), tuple(labels), skipped)


def _readable(files: Sequence[Path], config: DataConfig) -> list[Path]:
    with ThreadPoolExecutor(max(1, config.workers)) as pool:
        faults = list(pool.map(_fault, files))
    good = []
    for path, fault in zip(files, faults, strict=True):
        if fault is None:
            good.append(path)
        elif config.strict:
            raise InputError(f"{path}: {fault}; expected an image (data.strict=true)")
        else:
            log.warning("%s: skipped: %s", path, fault)
    return good


def _fault(path: Path) -> str | None:
    """Why a file cannot be read as an image, to its last row; None if it can."""
    try:
        read_picture(path)
    except Exception as error:  # Pillow's readers raise whatever their format's parser does
        return f"{type(error).__name__}: {error}"
    return None
