"""The latency table: measured workloads, the calibration that turns their sum into a network's latency."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from frostnas.artifacts.specs import LayerSpec, NetSpec, Workload
from frostnas.artifacts.store import load, sha256_of, write_atomic
from frostnas.errors import InputError


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One measured workload; times in ms per inference, shapes of one image."""

    key: str
    part: str
    kernel: int
    in_channels: int
    out_channels: int
    expand: float
    squeeze: int
    stride: int
    height: int
    width: int
    spatial: str
    activation: str
    gate: str
    skip: str
    hot_ms_p10: float
    hot_ms_p50: float
    hot_ms_p90: float
    round_robin_ms_p10: float
    round_robin_ms_p50: float
    round_robin_ms_p90: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Percentiles of one workload's latency in ms, over all rounds."""

    p10: float
    p50: float
    p90: float


def row_of(workload: Workload, hot: Timing, round_robin: Timing) -> LatencyRow:
    """The table row of a measured workload."""
    part = workload.part
    block = part.block if isinstance(part, LayerSpec) else None
    return LatencyRow(
        key=workload.key,
        part=workload.kind,
        kernel=block.kernel if block else getattr(part, "kernel", 1),
        in_channels=workload.in_channels,
        out_channels=part.out_channels if isinstance(part, LayerSpec) else part.channels,
        expand=block.expand if block else 1,
        squeeze=block.squeeze if block else 0,
        stride=getattr(part, "stride", 1),
        height=workload.size,
        width=workload.size,
        spatial=block.spatial if block else "none",
        activation=block.activation if block else getattr(part, "activation", "none"),
        gate=block.gate if block else "none",
        skip=block.skip if block else "none",
        hot_ms_p10=hot.p10,
        hot_ms_p50=hot.p50,
        hot_ms_p90=hot.p90,
        round_robin_ms_p10=round_robin.p10,
        round_robin_ms_p50=round_robin.p50,
        round_robin_ms_p90=round_robin.p90,
    )


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that a table was measured on."""

    machine: str
    """`x86_64`, `aarch64`, …"""
    cpu: str
    cpu_flags: tuple[str, ...]
    """Of the flags that matter for INT8: avx2, avx512_vnni, avx_vnni, asimddp, i8mm, …"""
    system: str
    emulated: bool = False

    def is_like(self, other: Host) -> bool:
        """Whether times of one hold for the other: the same CPU, however its system was updated."""
        return (self.machine, self.cpu, self.cpu_flags) == (other.machine, other.cpu, other.cpu_flags)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a table was measured; another protocol makes another table."""

    runtime: str
    runtime_version: str
    precision: str
    threads: int
    cpus: tuple[int, ...]
    batch: int
    activation_type: str
    weight_bits: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Network latency = ``hot * sum(hot) + round_robin * sum(round robin) + per_block_ms * number of parts``."""

    hot: float
    round_robin: float
    per_block_ms: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Prediction against measurement on whole networks, in relative error (0.02 is 2%)."""

    networks: int
    mean_error: float
    p95_error: float
    max_error: float
    spearman: float
    """0 where the prediction is the same for all networks."""


@dataclass(frozen=True, slots=True)
class OperationShare:
    """One kind of operation in a network's latency."""

    operation: str
    share: float
    """Of the time of all operations, mean over some random networks."""


@dataclass(frozen=True)
class LatencyTable:
    """`latency.json`, with the rows of `latency.csv` beside it."""

    KIND: ClassVar[str] = "latency"
    SCHEMA: ClassVar[int] = 2

    host: Host
    protocol: Protocol
    calibration: Calibration
    fitted: Validation
    """On the networks that the calibration was fitted on."""
    held_out: Validation
    """On other random networks."""
    repeatability: float
    """Median over workloads of (p90 - p10) / p50 of the hot times."""
    seconds: float
    """Wall time that the measurement took."""
    csv_sha256: str
    rows: tuple[LatencyRow, ...] = ()
    """Empty in the JSON: `latency.csv` holds them."""
    target: str = "local"
    """`local`, `ssh` or `bundle`."""
    address: str = ""
    """`ssh`: the host, as the config named it."""
    operations: tuple[OperationShare, ...] = ()
    """Where the time of whole networks goes, largest first; empty where the runtime does not say."""
    warnings: tuple[str, ...] = ()
    """What speaks against trusting the table."""

    @cached_property
    def _rows(self) -> dict[str, LatencyRow]:
        return {row.key: row for row in self.rows}

    def workload_ms(self, workload: Workload) -> float:
        """Calibrated share of one workload in a network's latency, ms.

        Raises:
            InputError: the table holds no such workload.
        """
        row = self._rows.get(workload.key)
        if row is None:
            raise InputError(f"latency table: no workload {workload.key}; profile the space that holds it")
        return self.row_ms(row)

    def row_ms(self, row: LatencyRow) -> float:
        """Calibrated share of a row's workload in a network's latency, ms."""
        fit = self.calibration
        return fit.hot * row.hot_ms_p50 + fit.round_robin * row.round_robin_ms_p50 + fit.per_block_ms

    def costliest(self, number: int) -> list[LatencyRow]:
        """The rows of the greatest calibrated latencies, greatest first."""
        return sorted(self.rows, key=self.row_ms, reverse=True)[:number]

    def covers(self, net: NetSpec) -> bool:
        """Whether every workload of the network was measured."""
        return all(workload.key in self._rows for workload in net.workloads())

    def predict_ms(self, net: NetSpec) -> float:
        """Predicted latency of a whole network in ms: the sum over its stem, blocks and head."""
        return sum(self.workload_ms(workload) for workload in net.workloads())


def write_rows(path: Path, rows: Sequence[LatencyRow]) -> str:
    """Write `latency.csv` and return the SHA-256 of its bytes."""
    import pandas as pd  # slow to import, and not there on a board that only predicts

    text = pd.DataFrame([asdict(row) for row in rows]).to_csv(index=False)
    write_atomic(path, text.encode())
    return sha256_of(path)


def read_rows(path: Path, csv_sha256: str) -> tuple[LatencyRow, ...]:
    """Read `latency.csv`.

    Raises:
        InputError: the file is missing, was edited after it was written, or has other columns.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the rows of the latency table beside it")
    if sha256_of(path) != csv_sha256:
        raise InputError(f"{path}: is not the file that its latency.json was written with; profile again")
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(path.read_bytes()), keep_default_na=False)
    names = [column.name for column in fields(LatencyRow)]
    if list(frame.columns) != names:
        raise InputError(f"{path}: has columns {', '.join(frame.columns)}; expected {', '.join(names)}")
    return tuple(LatencyRow(*row) for row in frame.itertuples(index=False, name=None))


def load_table(path: Path) -> LatencyTable:
    """Read latency.json and the latency.csv beside it.

    Raises:
        InputError: one of them is missing, edited or of another schema.
    """
    table = load(path, LatencyTable).value
    return replace(table, rows=read_rows(path.with_suffix(".csv"), table.csv_sha256))
