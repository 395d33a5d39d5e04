"""Where the class folders of an image folder lie: right under it, or in a folder for each split."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from frostnas.config import DataConfig
from frostnas.data.identity import TEST, TRAIN, VAL
from frostnas.data.walk import folders_in, holds_files, shown
from frostnas.errors import InputError

SPELLINGS = {
    TRAIN: ("train", "training", "trn"),
    VAL: ("val", "valid", "validation", "dev"),
    TEST: ("test", "testing", "tst"),
}
FILLERS = ("set", "data", "image", "images", "img", "imgs", "split", "folder", "dir")
ODD = ("eval", "evaluation", "holdout", "heldout", "fold", "split", "unlabeled", "unlabelled")
"""Words of splits that could mean more than one thing."""


@dataclass(frozen=True)
class Layout:
    """The folders of the splits by what they are used for; empty where class folders lie under the root."""

    folders: dict[str, Path]
    unused: tuple[str, ...] = ()
    """Folders beside those of the splits."""

    @property
    def note(self) -> str:
        """What was taken as what."""
        purpose = {TRAIN: "to train on", VAL: "to choose on", TEST: "to test on"}
        taken = ", ".join(f"{purpose[part]}: {folder.name}" for part, folder in self.folders.items())
        return f"folders {taken}" + (f"; not used: {_named(self.unused)}" if self.unused else "")


def image_root(config: DataConfig) -> Path:
    """`data.root` as a folder.

    Raises:
        InputError: there is none.
    """
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise InputError(f"data.root={config.root}: no such folder; expected one that holds a folder per class")
    return root


def layout_of(root: Path) -> Layout:
    """Which folders under ``root`` are splits, by the usual spellings of their names.

    A single held-out folder is for the final numbers, whatever it is called. Beside classes, a folder called like a
    split is a class, unless there are two of them with the same classes inside.

    Raises:
        InputError: folders look like splits and are not understood, or two are the same split.
    """
    folders = {folder.name: folder for folder in folders_in(root)}
    known = {name: role for name in folders if (role := _role(name))}
    odd = [name for name in folders if name not in known and _like_a_split(name) and not holds_files(folders[name])]
    others = [name for name in folders if name not in known and name not in odd]
    if others and not _share_classes(folders[name] for name in (*known, *odd)):
        train = [folders[name] for name, role in known.items() if role == TRAIN]
        odd = [name for name in others if _share_classes([*train, folders[name]])]
        if not odd:
            return Layout({})
    if odd:
        like = "looks like a split whose name is" if len(odd) == 1 else "look like splits whose names are"
        raise InputError(
            f"data.root={root}: {_named(odd)} {like} not understood; "
            "expected train, val (valid, validation, dev) and test, or a folder per class"
        )
    found: dict[str, Path] = {}
    for role in (TRAIN, VAL, TEST):
        names = [name for name in known if known[name] == role]
        if len(names) > 1:
            raise InputError(f"data.root={root}: {_named(names)} are both for {role}; expected one folder of that kind")
        if names:
            found[role] = folders[names[0]]
    if VAL in found and TEST not in found:
        found[TEST] = found.pop(VAL)
    return Layout(found, tuple(others))


def _role(name: str) -> str | None:
    """The split that a folder's name is a usual spelling of: `Train`, `validation_set`, `test-images`, `train2017`."""
    words = [word for word in _words(name) if word not in FILLERS]
    if len(words) != 1:
        return None
    word = re.sub(f"({'|'.join(FILLERS)})$", "", words[0])
    return next((role for role, spelt in SPELLINGS.items() if word in spelt), None)


def _like_a_split(name: str) -> bool:
    words = _words(name)
    return any(word in words for spelt in (*SPELLINGS.values(), ODD) for word in spelt)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name.casefold())


def _share_classes(folders: Iterable[Path]) -> bool:
    """Whether two of the folders hold a folder of the same name, as splits do."""
    seen: set[str] = set()
    for folder in folders:
        inside = {one.name for one in folders_in(folder)}
        if inside & seen:
            return True
        seen |= inside
    return False


def _named(names: Iterable[str]) -> str:
    return " and ".join(shown(name) for name in names)
