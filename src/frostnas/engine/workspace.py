"""A run directory while one process works in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from frostnas.artifacts import sweep
from frostnas.config import Logger
from frostnas.engine.board import Board, require_tensorboard
from frostnas.engine.distributed import launched
from frostnas.engine.metrics import MetricsWriter
from frostnas.engine.progress import Bar, progress_bar
from frostnas.errors import TRACEBACK, InputError
from frostnas.readable import ReadableFormatter, readable

LOG_NAME, LOCK_NAME = "frostnas.log", ".lock"


@dataclass(frozen=True)
class Workspace:
    """What stages get of a run directory; `open` makes one."""

    run_dir: Path
    console: Console | None
    """Where progress goes; None when quiet."""
    log: logging.Logger
    writes: bool = True
    """False in all but the first of several processes that train one network: they only read."""
    logger: Logger = Logger.none
    """Where metrics go besides their CSV."""
    checkpoint_s: float = 20.0
    """Of work that a killed run may lose."""
    peer_timeout_s: float = 600.0
    """How long a process waits for another that is silent."""
    _closing: ExitStack = field(default_factory=ExitStack)
    """What is open until the workspace is left."""

    @classmethod
    @contextmanager
    def open(
        cls,
        run_dir: str | Path,
        *,
        console: Console | None = None,
        quiet: bool = False,
        logger: Logger = Logger.none,
        checkpoint_s: float = checkpoint_s,
        peer_timeout_s: float = peer_timeout_s,
    ) -> Iterator[Workspace]:
        """Make and lock ``run_dir``, and write what frostnas logs to its `frostnas.log`, until the block ends.

        Args:
            console: where progress goes; standard error by default.
            quiet: show nothing.
            logger: where metrics go besides their CSV.
            checkpoint_s, peer_timeout_s: as the fields.

        Raises:
            InputError: another process works in ``run_dir``, or it cannot be made; the logger is not installed.
        """
        folder = Path(run_dir)
        log = logging.getLogger("frostnas")
        if not launched().writes:
            yield cls(folder, None, log, False, logger, checkpoint_s, peer_timeout_s)
            return
        if logger is Logger.tensorboard:
            require_tensorboard()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / LOCK_NAME)
            lock.acquire(blocking=False)  # the system gives it back when the process ends, however it ends
        except Timeout:
            raise InputError(f"run_dir={folder}: another process is working in it; expected a free one") from None
        except OSError as error:
            raise InputError(f"run_dir={folder}: {error.strerror}; expected a folder to write to") from None
        for part in (folder, folder / "checkpoints", folder / "metrics"):
            sweep(part)
        handler = logging.FileHandler(folder / LOG_NAME, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(ReadableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.setLevel(logging.INFO)
        log.addHandler(handler)
        try:
            with ExitStack() as closing:
                shown = None if quiet else console or Console(stderr=True)
                yield cls(folder, shown, log, True, logger, checkpoint_s, peer_timeout_s, closing)
        except BaseException as error:
            expected = isinstance(error, InputError | KeyboardInterrupt)
            log.error("stopped by %s: %s", type(error).__name__, error, exc_info=not expected)
            if not expected:
                error.add_note(f"{TRACEBACK}{folder / LOG_NAME}")
            raise
        finally:
            log.removeHandler(handler)
            handler.close()
            lock.release()

    @property
    def checkpoints(self) -> Path:
        """Folder for what an interrupted stage goes on from."""
        folder = self.run_dir / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def metrics(self, stage: str, text: str = "", by: Sequence[str] = ()) -> MetricsWriter:
        """`metrics/<stage>.csv`, begun anew, or after the rows in ``text``, and what the logger makes of it.

        Args:
            by: columns that tell rows of one epoch apart.
        """
        board = None
        if self.logger is Logger.tensorboard:
            board = Board(self.run_dir / "tensorboard" / stage)
            self._closing.callback(board.close)
        path = self.run_dir / "metrics" / f"{stage}.csv"
        return MetricsWriter(path, text, writes=self.writes, board=board, by=by)

    def progress(self, name: str, total: int, done: int = 0) -> AbstractContextManager[Bar]:
        """A progress bar: ``with workspace.progress("train", total=steps) as bar: bar.step(loss=0.1)``."""
        return progress_bar(self.console, name, total, done)

    def say(self, text: str) -> None:
        """Log a line and show it."""
        self.log.info(text)
        if self.console is not None:
            self.console.print(readable(text), highlight=False, markup=False, soft_wrap=True)
