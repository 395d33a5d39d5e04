"""Commands of frostnas, each in a process of its own that is forked from one which has imported everything.

Hundreds of commands take seconds instead of hours, and each has its own exit status, output and peak memory.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 10.0
ROOM = 6 * 2**30
"""Bytes of address space that a command may add: a runaway ends instead of the machine."""


@dataclass(frozen=True)
class Done:
    """A command that ended, or was ended."""

    status: int | None
    """None: it was killed, at its time limit or when it was to be."""
    out: str
    err: str
    peak_mb: float
    seconds: float
    orphans: list[int]
    """Processes that it had started and that outlived it by `GRACE_S`."""

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
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(self.temporary)},
        )

    def run(self, *words: str, limit_s: float = 120.0) -> Done:
        """Run `frostnas WORDS`, and kill it after ``limit_s`` seconds."""
        self._number += 1
        out, err = (self._folder / f"{self._number}.{name}" for name in ("out", "err"))
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([list(words), str(out), str(err), limit_s]) + "\n")
        self._process.stdin.flush()
        status, peak_mb, seconds, orphans = json.loads(self._process.stdout.readline())
        said = [file.read_text(errors="replace") for file in (out, err)]
        done = Done(status, *said, peak_mb, seconds, orphans)
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
    """Args: folder: for the output of commands, meanwhile, and for their temporary files."""
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
    import frostnas.cli.run
    import frostnas.report.block_plots
    import frostnas.report.pareto_plot
    import frostnas.report.range_plot
    import frostnas.report.training_plot  # noqa: F401
    from frostnas.config.compose import compose_config

    compose_config([])  # imports what it needs, and finds the groups
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
        # Of what is written to: the engine of the report's charts reserves addresses that it never uses.
        size = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (size + ROOM, size + ROOM))
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


def _ended(process: int, limit_s: float) -> tuple[int | None, float, float, list[int]]:
    """Exit status, None past the time limit, peak memory in MB, seconds, and what it left running."""
    start = time.monotonic()
    killed = False
    while True:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            break
        if not killed and time.monotonic() > start + limit_s:
            killed = True
            os.kill(process, signal.SIGKILL)
        time.sleep(0.005)
    end = time.monotonic()
    while (left := _in_group(process)) and time.monotonic() < end + GRACE_S:
        time.sleep(0.05)
    for one in left:
        os.kill(one, signal.SIGKILL)
    return None if killed else os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, end - start, left


def _in_group(group: int) -> list[int]:
    """Living processes that a command, the leader of its process group, has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


if __name__ == "__main__":
    _serve()
