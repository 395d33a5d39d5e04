"""Folders and files of an image folder: what is hidden, what lies behind links, and names that are no text."""

from __future__ import annotations

import re
from pathlib import Path

from frostnas.errors import InputError

NOT_OURS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
"""Folders that archives, file servers and systems leave behind; like hidden ones they are passed over."""


def shown(path: str | Path) -> str:
    """A path that can be printed and logged: bytes that are not UTF-8 as escapes."""
    escaped = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", str(path))
    return escaped.encode("utf-8", "backslashreplace").decode()


def folders_in(parent: Path) -> list[Path]:
    """The folders right under ``parent``, sorted.

    Raises:
        InputError: ``parent`` cannot be listed.
    """
    return sorted(one for one in _entries(parent) if one.is_dir())


def holds_files(parent: Path) -> bool:
    """Whether files lie right under ``parent``."""
    return any(one.is_file() for one in _entries(parent))


def files_under(parent: Path) -> list[Path]:
    """Every file under ``parent``, sorted; links to folders are followed, each folder once.

    A link that leads nowhere counts as a file, which cannot be read.

    Raises:
        InputError: a folder cannot be listed.
    """
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [parent], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)  # a folder itself goes before a link to it
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for one in sorted(_entries(folder)):
            if one.is_dir():
                (links if one.is_symlink() else folders).append(one)
            elif one.is_file() or (one.is_symlink() and not one.exists()):
                files.append(one)
    return sorted(files)


def _entries(folder: Path) -> list[Path]:
    try:
        return [one for one in folder.iterdir() if not one.name.startswith(".") and one.name not in NOT_OURS]
    except OSError as error:
        raise InputError(f"{shown(folder)}: {error.strerror}; expected a folder that can be listed") from None
