"""Latency of a loaded model in this process, for runtimes that the measuring agent does not carry."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from frostnas.artifacts import Timing

WARMUP_RUNS = 10


def time_runs(run: Callable[[], object], rounds: int, round_ms: float) -> Timing:
    """Milliseconds per run: p10, p50 and p90 over rounds of at least ``round_ms`` each."""
    start = time.perf_counter()
    for _ in range(WARMUP_RUNS):
        run()
    each_ms = (time.perf_counter() - start) / WARMUP_RUNS * 1e3
    runs = max(1, round(round_ms / each_ms))
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(runs):
            run()
        found.append((time.perf_counter() - start) / runs * 1e3)
    return Timing(*map(float, np.percentile(found, [10, 50, 90])))
