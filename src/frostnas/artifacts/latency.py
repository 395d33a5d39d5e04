"""The latency table: measured workloads, the calibration that turns their sum into a network's latency."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from frostnas.artifacts.limits import (
    Amount,
    Channels,
    Digest,
    Expansion,
    Few,
    Kernel,
    Line,
    Pixels,
    Probability,
    Signed,
    Slot,
    Stride,
    WeightBits,
    Whole,
)
from frostnas.artifacts.specs import LayerSpec, NetSpec, Workload
from frostnas.artifacts.store import bytes_of, load, sha256_of, write_atomic
from frostnas.artifacts.tables import csv_of, rows_in
from frostnas.errors import InputError


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """One measured workload; times in ms per inference, shapes of one image."""

    key: Line
    part: Slot
    kernel: Kernel
    in_channels: Channels
    out_channels: Channels
    expand: Expansion
    squeeze: Whole
    stride: Stride
    height: Pixels
    width: Pixels
    spatial: Slot
    activation: Slot
    gate: Slot
    skip: Slot
    hot_ms_p10: Amount
    hot_ms_p50: Amount
    hot_ms_p90: Amount
    round_robin_ms_p10: Amount
    round_robin_ms_p50: Amount
    round_robin_ms_p90: Amount


@dataclass(frozen=True, slots=True)
class Timing:
    """Percentiles of one workload's latency in ms, over all rounds."""

    p10: Amount
    p50: Amount
    p90: Amount


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
        expand=block.expand if block else 1.0,
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

    machine: Line
    """`x86_64`, `aarch64`, …"""
    cpu: Line
    cpu_flags: tuple[Slot, ...]
    """Of the flags that matter for INT8: avx2, avx512_vnni, avx_vnni, asimddp, i8mm, …"""
    system: Line
    emulated: bool = False

    def is_like(self, other: Host) -> bool:
        """Whether times of one hold for the other: the same CPU, however its system was updated."""
        return (self.machine, self.cpu, self.cpu_flags) == (other.machine, other.cpu, other.cpu_flags)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a table was measured; another protocol makes another table."""

    runtime: Slot
    runtime_version: Line
    precision: Literal["int8", "fp32"]
    threads: Few
    cpus: tuple[Whole, ...]
    batch: Few
    activation_type: Literal["uint8", "int8"]
    weight_bits: WeightBits


@dataclass(frozen=True, slots=True)
class Calibration:
    """Network latency = ``hot * sum(hot) + round_robin * sum(round robin) + per_block_ms * number of parts``."""

    hot: Amount
    round_robin: Amount
    per_block_ms: Amount


@dataclass(frozen=True, slots=True)
class Validation:
    """Prediction against measurement on whole networks, in relative error (0.02 is 2%)."""

    networks: Whole
    mean_error: Amount
    p95_error: Amount
    max_error: Amount
    spearman: Signed
    """0 where the prediction is the same for all networks."""


@dataclass(frozen=True, slots=True)
class CheckedNetwork:
    """A whole network that was measured when the table was made."""

    predicted_ms: float
    measured_ms: float
    held_out: bool
    """False if the calibration was fitted on it."""


@dataclass(frozen=True, slots=True)
class OperationShare:
    """One kind of operation in a network's latency."""

    operation: Line
    share: Probability
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
    repeatability: Amount
    """Median over workloads of (p90 - p10) / p50 of the hot times."""
    seconds: Amount
    """Wall time that the measurement took."""
    csv_sha256: Digest
    rows: tuple[LatencyRow, ...] = ()
    """Empty in the JSON: `latency.csv` holds them."""
    target: Literal["local", "ssh", "bundle"] = "local"
    """`local`, `ssh` or `bundle`."""
    address: Line = ""
    """`ssh`: the host, as the config named it."""
    operations: tuple[OperationShare, ...] = ()
    """Where the time of whole networks goes, largest first; empty where the runtime does not say."""
    networks: tuple[CheckedNetwork, ...] = ()
    """What `fitted` and `held_out` sum up."""
    warnings: tuple[Line, ...] = ()
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
    write_atomic(path, csv_of(LatencyRow, rows))
    return sha256_of(path)


def read_rows(path: Path, csv_sha256: str) -> tuple[LatencyRow, ...]:
    """Read `latency.csv`.

    Raises:
        InputError: the file is missing, was edited after it was written, lacks a column, or holds a
            value outside its limits.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the rows of the latency table beside it")
    content = bytes_of(path)
    if hashlib.sha256(content).hexdigest() != csv_sha256:
        raise InputError(f"{path}: is not the file that its latency.json was written with; profile again")
    return rows_in(path, content, LatencyRow)


def load_table(path: Path) -> LatencyTable:
    """Read latency.json and the latency.csv beside it.

    Raises:
        InputError: one of them is missing, edited or of another schema.
    """
    table = load(path, LatencyTable).value
    return replace(table, rows=read_rows(path.with_suffix(".csv"), table.csv_sha256))
