"""Image folders: one folder per class."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from frostnas.config import DataConfig
from frostnas.data.look import Look, look_at_all
from frostnas.data.split import Indices
from frostnas.data.walk import files_under, folders_in, shown
from frostnas.errors import InputError

NAMED = 5  # classes in a message

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """The readable images under a folder of class folders."""

    classes: tuple[str, ...]
    looks: tuple[Look, ...]
    labels: Indices
    """int64 (N,)."""
    names: tuple[str, ...]
    """Of the files, from their class folder on."""
    skipped: int
    """Files that were named in the log and left out."""

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(look.path for look in self.looks)


def list_classes(folder: Path, config: DataConfig, classes: Sequence[str] | None = None) -> Listing:
    """Every image under ``folder``/<class>/, with all of them looked at once.

    Args:
        classes: those that a network knows, of which some may have no image here; None for training images, whose
            folders say which classes there are.

    Raises:
        InputError: there are fewer than two classes, a training class without a readable image, a class that
            ``classes`` lacks, or (`data.strict`) a file that is not an image.
    """
    folders = class_folders(folder, config)
    if classes is None and len(folders) < 2:
        raise InputError(
            f"data.root={config.root}: {shown(folder)} has {len(folders)} class folders; expected at least 2"
        )
    known = tuple(folders) if classes is None else tuple(classes)
    strange = [name for name in folders if name not in known]
    if strange:
        raise InputError(f"data.root={config.root}: {shown(folder)}: {strange_classes(strange, known, tuple(folders))}")
    looks: list[Look] = []
    labels: list[int] = []
    names: list[str] = []
    skipped = 0
    for label, name in enumerate(known):
        files = files_under(folders[name]) if name in folders else []
        good = look_at_all(files, config)
        if not good and classes is None:
            raise InputError(
                f"data.root={config.root}: class {shown(folders[name])} holds no readable image; "
                "expected some, or no such folder"
            )
        skipped += len(files) - len(good)
        looks += good
        labels += [label] * len(good)
        names += [look.path.relative_to(folders[name]).as_posix() for look in good]
    if not looks:
        raise InputError(f"data.root={config.root}: {shown(folder)} holds no readable image in a class folder")
    if skipped:
        log.warning(
            "%s: %d of %d files cannot be read as images and are skipped", shown(folder), skipped, skipped + len(looks)
        )
    return Listing(known, tuple(looks), np.asarray(labels, np.int64), tuple(names), skipped)


def class_folders(folder: Path, config: DataConfig) -> dict[str, Path]:
    """The folders of the classes by their names, whichever of Unicode's two spellings of an accent the disk has.

    Raises:
        InputError: a name is not text, or two are the same.
    """
    found: dict[str, Path] = {}
    for one in folders_in(folder):
        if shown(one.name) != one.name:
            raise InputError(
                f"data.root={config.root}: class folder {shown(one)} has a name that is not UTF-8; expected another"
            )
        name = unicodedata.normalize("NFC", one.name)
        if name in found:
            raise InputError(f"data.root={config.root}: there are two class folders {name} in {shown(folder)}")
        found[name] = one
    return dict(sorted(found.items()))


def strange_classes(strange: Sequence[str], known: Sequence[str], given: Sequence[str]) -> str:
    """What there is to say of classes that a network does not know, and of those that it has instead."""
    unused = [name for name in known if name not in given]
    several = len(strange) > 1
    text = f"class{'es' if several else ''} {shown_classes(strange)} {'are' if several else 'is'} not among the "
    text += f"{len(known)} that are learnt"
    return text + (
        f", of which {shown_classes(unused)} {'are' if len(unused) > 1 else 'is'} not here" if unused else ""
    )


def shown_classes(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    left = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {left} more" if left > 0 else "")
