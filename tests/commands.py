"""Commands of frostnas, each in a process of its own that is forked from one which has imported everything.

Hundreds of commands take seconds instead of hours, and each has its own exit status, output and peak memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOM = 6 * 2**30
"""Bytes of address space that a command may add: a runaway ends instead of the machine."""


@dataclass(frozen=True)
class Done:
    """A command that ended, or was ended."""

    status: int | None
    """None: it ran into its time limit."""
    out: str
    err: str
    peak_mb: float

    @property
    def complaint(self) -> str:
        """The line of standard error that says what is wrong; empty where there is none or more than that."""
        lines = [line for line in self.err.splitlines() if line.startswith(("frostnas: error: ", "frostnas: failed: "))]
        return lines[0] if len(lines) == 1 and "Traceback" not in self.err else ""


class Commands:
    """The process that commands are forked from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *words: str, limit_s: float = 120.0) -> Done:
        """Run `frostnas WORDS`."""
        self._number += 1
        out, err = (self._folder / f"{self._number}.{name}" for name in ("out", "err"))
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([list(words), str(out), str(err), limit_s]) + "\n")
        self._process.stdin.flush()
        status, peak_mb = json.loads(self._process.stdout.readline())
        done = Done(status, out.read_text(errors="replace"), err.read_text(errors="replace"), peak_mb)
        out.unlink()
        err.unlink()
        return done

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@contextmanager
def commands(folder: Path) -> Iterator[Commands]:
    """Args: folder: for the output of commands, meanwhile."""
    made = Commands(folder)
    try:
        yield made
    finally:
        made.close()


def _serve() -> None:
    import torch

    import frostnas.cli.app
    import frostnas.cli.evaluate
    import frostnas.cli.predict
    import frostnas.cli.report
    import frostnas.cli.run  # noqa: F401

    torch.set_num_threads(1)
    for line in sys.stdin:
        words, out, err, limit_s = json.loads(line)
        process = os.fork()
        if process == 0:
            _command(words, out, err)
        print(json.dumps(_ended(process, limit_s)), flush=True)


def _command(words: Sequence[str], out: str, err: str) -> None:
    """In the child: run one command and leave, however it ends."""
    from frostnas.cli import main

    status = 70
    try:
        os.setpgid(0, 0)
        for target, name in ((0, os.devnull), (1, out), (2, err)):
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, target)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
        sys.argv = ["frostnas", *words]
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _ended(process: int, limit_s: float) -> tuple[int | None, float]:
    """Exit status, None past the time limit, and peak memory in MB."""
    end = time.monotonic() + limit_s
    late = False
    while True:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            return None if late else os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024
        if not late and time.monotonic() > end:
            late = True
            os.killpg(process, 9)
        time.sleep(0.005)


if __name__ == "__main__":
    _serve()
