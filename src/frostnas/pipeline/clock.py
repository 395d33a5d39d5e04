"""The one place where a planned run reads the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Clock:
    """What is left of a time limit, from the moment that this was made."""

    def __init__(self, limit_s: float | None = None, spent_s: float = 0.0) -> None:
        """Args: spent_s: of the limit, before."""
        self.limit_s, self.before_s, self.start = limit_s, spent_s, time.monotonic()

    @property
    def spent_s(self) -> float:
        return self.before_s + time.monotonic() - self.start

    @property
    def left_s(self) -> float:
        """Without a limit there is no end of it."""
        return float("inf") if self.limit_s is None else self.limit_s - self.spent_s


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` gives, and the seconds that it took."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    return timed(work)[1]
