"""Files of a stage: written aside, put into the run directory together, and set aside before work begins anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from frostnas.artifacts import sha256_of

PLOTS = (".png", ".svg")
"""Drawn from the others for a person to look at; nothing reads them, and they may be deleted."""
KEPT = "checkpoints/kept"
"""In the run directory: what --force has set aside last."""


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A fresh folder to write a stage's files to; it stays for inspection if the stage fails after writing some."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    shutil.rmtree(folder)


def publish(folder: Path, run_dir: Path) -> dict[str, str]:
    """Move every file of ``folder`` to its place in the run directory; the SHA-256 of each that is more than a plot."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {str(path.relative_to(folder)): sha256_of(path) for path in paths if path.suffix not in PLOTS}
    for path in paths:
        target = run_dir / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    return files


def matching(run_dir: Path, patterns: Sequence[str]) -> list[Path]:
    """Files and folders of the run directory that match one of the patterns."""
    return [path for pattern in patterns for path in sorted(run_dir.glob(pattern))]


def set_aside(run_dir: Path, patterns: Sequence[str]) -> list[Path]:
    """Move what matches to `KEPT`, in place of what was moved there before; where it is now."""
    moved = []
    for path in matching(run_dir, patterns):
        target = run_dir / KEPT / path.relative_to(run_dir)
        if target.is_dir():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        moved.append(target)
    return moved
