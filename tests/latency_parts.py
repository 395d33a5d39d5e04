"""A small network and its workloads, for the tests of measured latency."""

from __future__ import annotations

from dataclasses import replace

from frostnas.artifacts import (
    BlockSpec,
    Calibration,
    HeadSpec,
    Host,
    LatencyTable,
    LayerSpec,
    NetSpec,
    Protocol,
    StemSpec,
    Timing,
    Validation,
    Workload,
    row_of,
)
from frostnas.latency import this_host

FROST = LayerSpec(BlockSpec(), 32, 1)
WORKLOADS = [
    Workload(StemSpec(16, 2), 3, 16),
    Workload(FROST, 32, 8),
    Workload(replace(FROST, stride=2), 32, 8),
    Workload(replace(FROST, block=BlockSpec(activation="hard_swish", gate="squeeze_excite")), 16, 8),
    Workload(HeadSpec(64, classes=10), 32, 4),
]
NET = NetSpec("n", 16, StemSpec(16, 2), (LayerSpec(BlockSpec(), 32, 1), FROST), HeadSpec(64, classes=10))
NOTHING = Validation(1, 0, 0, 0, 1)


def table(rows: int, host: Host | None = None) -> LatencyTable:
    """A table over the first workloads of `NET`, 1 ms each, made on this machine unless said."""
    timing = Timing(0.9, 1.0, 1.1)
    return LatencyTable(
        host=host or this_host(),
        protocol=Protocol("onnxruntime", "1", "int8", 1, (0,), 1, "uint8", 8),
        calibration=Calibration(0.5, 0.25, 0.125),
        fitted=NOTHING,
        held_out=NOTHING,
        repeatability=0.01,
        seconds=1.0,
        csv_sha256="",
        rows=tuple(row_of(workload, timing, timing) for workload in list(NET.workloads())[:rows]),
    )
