"""Files timed beside parts that a table has measured: whether the machine is as fast now as it was then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frostnas.artifacts import LatencyTable, NetSpec, Timing
from frostnas.config import LatencyConfig
from frostnas.latency.measure import measure_files
from frostnas.latency.models import one_thread, workload_model
from frostnas.quant import Scheme


def measure_beside(
    paths: Sequence[Path], config: LatencyConfig, table: LatencyTable, net: NetSpec, scheme: Scheme
) -> tuple[list[Timing], float]:
    """Latency of ONNX files as `measure_files` has it, and the pace of the machine.

    Args:
        table: of one INT8 image; holds all workloads of ``net``.

    Returns:
        ms per run of one image; how long the workloads of ``net`` take in this session, each alone in a loop, as a
        multiple of what they took for the table.

    Raises:
        MeasuringError: the agent failed.
    """
    workloads = dict.fromkeys(net.workloads())
    with one_thread():
        parts = [workload_model(workload, scheme) for workload in workloads]
    timings = measure_files([*paths, *parts], config)
    own, now = timings[: len(paths)], timings[len(paths) :]
    then = {row.key: row.hot_ms_p50 for row in table.rows}
    return own, sum(one.p50 for one in now) / sum(then[workload.key] for workload in workloads)
