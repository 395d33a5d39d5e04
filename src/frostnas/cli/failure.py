"""What a command that did not come to its end leaves: one line, an exit status, and the traceback in a log."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from frostnas.errors import TRACEBACK, USABLE, InputError
from frostnas.readable import readable

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
FULL = (errno.ENOSPC, errno.EDQUOT)
LONGEST = 600  # characters of a message that is not ours


def leave(error: BaseException) -> NoReturn:
    """Say in one line on standard error what ended the command, and end the process."""
    if _interrupted(error):
        notes = [note for one in _chain(error) for note in getattr(one, "__notes__", ()) if note.startswith(USABLE)]
        say("; ".join(["interrupted", "the same command goes on from here", *notes[:1]]))
        sys.exit(INTERRUPTED)
    full = _full(error)
    if isinstance(error, InputError) and full is None:
        say(f"error: {error}")
        sys.exit(WRONG_INPUT)
    say(f"failed: {full or _named(error)}")
    sys.exit(FAILED)


def say(message: str) -> None:
    """One line of ours on standard error."""
    line = f"frostnas: {readable(' '.join(message.split()))}"
    encoding = sys.stderr.encoding or "ascii"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it came from, first the error."""
    found: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in found:
        found.append(link)
        link = link.__cause__ or link.__context__
    return found


def _interrupted(error: BaseException) -> bool:
    """Ctrl-C, also one that the import it landed in made another error of."""
    return any(isinstance(one, KeyboardInterrupt) for one in _chain(error))


def _full(error: BaseException) -> str | None:
    """A full disk, whichever library met it: which file, what is free, what to do."""
    chain = _chain(error)
    met = next((one for one in chain if isinstance(one, OSError) and one.errno in FULL), None)
    if met is None and not any("No space left" in str(one) or "os error 28" in str(one) for one in chain):
        return None
    name, kept = met.filename if met is not None else None, _noted(error)
    if not isinstance(name, str) and kept is None:
        return "no space left on the disk; the same command goes on once there is room"
    path = Path(name) if isinstance(name, str) else Path(str(kept).removeprefix(TRACEBACK)).parent
    return f"{path}: no space left on the disk ({_free(path)} free); the same command goes on once there is room"


def _free(path: Path) -> str:
    try:
        folder = next((one for one in (path, *path.absolute().parents) if one.is_dir()), Path("/"))
        return f"{shutil.disk_usage(folder).free / 2**20:.1f} MiB"
    except OSError:
        return "how much cannot be told"


def _named(error: BaseException) -> str:
    text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    text = " ".join(text.split())
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    where = _noted(error) or _kept(error)
    return f"{type(error).__name__}: {short or 'no reason given'}{f'; {where}' if where else ''}"


def _noted(error: BaseException) -> str | None:
    """Where a run directory's log already holds the traceback."""
    return next((note for note in getattr(error, "__notes__", ()) if note.startswith(TRACEBACK)), None)


def _kept(error: BaseException) -> str | None:
    """Write the traceback into the user's state folder, or else the temporary one; None if neither takes it."""
    content = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        path = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "frostnas" / "error.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"{TRACEBACK}{path}"
    with suppress(OSError):
        handle, name = tempfile.mkstemp(prefix="frostnas-error-", suffix=".log")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return f"{TRACEBACK}{name}"
    return None
