"""Temporary folders and half-written files, which a later command removes where a killed one left them behind."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OURS = "frostnas-scratch-"  # how their names begin
LOCK, WORK = "held", "work"
YOUNG = 10.0  # seconds in which a new file may not be locked yet


def hold(handle: int) -> bool:
    """Lock an open file until it is closed, or the process ends; False if that cannot be had."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or the file system knows no locks
        return False
    return True


def abandoned(path: Path) -> bool:
    """Whether the process that held ``path`` is gone."""
    with suppress(OSError), path.open("rb") as file:
        return time.time() - path.stat().st_mtime > YOUNG and hold(file.fileno())
    return False


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """An empty folder below the system's temporary one, until the block ends."""
    for folder in Path(tempfile.gettempdir()).glob(f"{OURS}*"):
        if abandoned(folder / LOCK):
            shutil.rmtree(folder, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=f"{OURS}{purpose}-", ignore_cleanup_errors=True) as name,
        (Path(name) / LOCK).open("wb") as lock,
    ):
        hold(lock.fileno())
        (Path(name) / WORK).mkdir()
        yield Path(name) / WORK
