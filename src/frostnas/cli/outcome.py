"""What a command gives back to be shown."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from frostnas.artifacts import sweep
from frostnas.errors import InputError

CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command's result."""

    data: Any
    """For `--json`."""
    view: RenderableType
    """For the terminal."""
    finish: Callable[[], None] | None = None
    """What is done after the result was shown, such as writing files; what it raises ends the command."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A block that writes files of a finished result to ``folder``.

    Raises:
        InputError: it takes none; says which option names another.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in CLOSED:
            raise
        name = error.filename or folder
        raise InputError(f"{name}: not written: {error.strerror}; --out FOLDER writes it elsewhere") from None
    sweep(folder)
