"""How far long work is: a live bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Display
from torch import Tensor

LINE_SECONDS = 10.0  # between two plain lines
DRAW_SECONDS = 0.2  # between two looks at figures that may lie on the device
Figure = float | Tensor


class Bar(Protocol):
    """One piece of work in steps."""

    def step(self, count: int = 1, **figures: Figure) -> None:
        """``count`` steps are done; ``figures`` (scalars, tensors on any device) are shown as they now are."""
        ...


def shown(figures: dict[str, Figure]) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in figures.items())


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class _Silent:
    def step(self, count: int = 1, **figures: Figure) -> None:
        pass


class _Lines:
    """A line when the work ends and every ten seconds before."""

    def __init__(self, console: Console, name: str, total: int, done: int) -> None:
        self.console, self.name, self.total, self.done = console, name, total, done
        self.skipped, self.start = done, time.monotonic()
        self.printed = self.start

    def step(self, count: int = 1, **figures: Figure) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.printed < LINE_SECONDS and self.done < self.total:
            return
        self.printed = now
        elapsed = now - self.start
        left = elapsed / max(1, self.done - self.skipped) * (self.total - self.done)
        timing = f"{minutes(left)} left" if self.done < self.total else f"done in {minutes(elapsed)}"
        text = f"{self.name}  {self.done}/{self.total}  {shown(figures)}  {timing}"
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class _Live:
    """One task of a rich progress display."""

    def __init__(self, display: Display, name: str, total: int, done: int) -> None:
        self.display, self.task = display, display.add_task(name, total=total, completed=done, figures="")
        self.drawn, self.pending = 0.0, 0

    def step(self, count: int = 1, **figures: Figure) -> None:
        self.pending += count
        now = time.monotonic()
        if now - self.drawn >= DRAW_SECONDS:
            self.drawn = now
            self.display.update(self.task, advance=self.pending, figures=shown(figures))
            self.pending = 0

    def close(self) -> None:
        self.display.update(self.task, advance=self.pending)


@contextmanager
def progress_bar(console: Console | None, name: str, total: int, done: int = 0) -> Iterator[Bar]:
    """A bar for ``total`` steps of which ``done`` are behind us; None for ``console`` is silence."""
    if console is None:
        yield _Silent()
    elif not (console.is_terminal and sys.stdout.isatty()):
        yield _Lines(console, name, total, done)
    else:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
        )
        with Display(*columns, console=console, transient=True) as display:
            bar = _Live(display, name, total, done)
            yield bar
            bar.close()
