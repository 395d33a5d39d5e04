"""Latency of a loaded model in this process, for runtimes that the measuring agent does not carry."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from frostnas.artifacts import Timing

WARMUP_RUNS, LEAST_RUNS = 10, 3


def time_runs(run: Callable[[], object], rounds: int, round_ms: float) -> Timing:
    """Milliseconds per run: p10, p50 and p90 over rounds of about ``round_ms``, of each round its median run.

    So a run during which the system gave the CPU to another process does not count.
    """
    each_ms = _median_ms(run, WARMUP_RUNS)
    runs = max(LEAST_RUNS, round(round_ms / each_ms))
    found = [_median_ms(run, runs) for _ in range(rounds)]
    return Timing(*map(float, np.percentile(found, [10, 50, 90])))


def _median_ms(run: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3
