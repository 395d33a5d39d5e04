"""Results as tables for the terminal, from artifacts only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from frostnas.artifacts import (
    Artifact,
    BlockResult,
    BlockSpec,
    Evaluation,
    ExportReport,
    LatencyTable,
    LayerSpec,
    NetResult,
    TrainResult,
)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The artifacts of a finished run."""

    block: BlockResult
    latency: LatencyTable
    net: NetResult
    train: TrainResult
    export: ExportReport


@dataclass(frozen=True, slots=True)
class ZooRow:
    """One named network at 224 x 224 with 1000 classes."""

    name: str
    family: str
    width: float
    params: int
    macs: int
    latency_ms: float | None


def _percent(fraction: float) -> str:
    return f"{fraction:.2%}"


def _ms(value: float | None) -> str:
    return "not predicted" if value is None else f"{value:.3f} ms"


def _kib(size_bytes: int) -> str:
    return f"{size_bytes / 1024:.1f} KiB"


def block_text(block: BlockSpec) -> str:
    """A block's slots in one line."""
    slots = (block.reuse, f"expand {block.expand:g}", block.spatial, block.activation)
    return ", ".join((*slots, f"gate {block.gate}", f"skip {block.skip}"))


def layer_text(layer: LayerSpec) -> str:
    """A layer in the published notation [kernel, channels, expand, squeeze, stride]."""
    block = layer.block
    squeeze = block.squeeze if block.expand > 1 else 1
    return f"[{block.kernel},{layer.out_channels},{block.expand:g},{squeeze or 1},{layer.stride}]"


def _titled(title: str, *tables: Table) -> Group:
    return Group(Text(title, style="bold"), *tables)


def _facts(title: str, rows: list[tuple[str, str]]) -> Group:
    table = Table(show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return _titled(title, table)


def run_table(run: RunSummary, folder: Path) -> Group:
    """The last thing that `frostnas run` prints."""
    net, train, export = run.net.net, run.train, run.export
    return _facts(
        f"frostnas run: {folder}",
        [
            ("block found", block_text(run.block.block)),
            ("network", f"{len(net.layers)} layers {' '.join(map(layer_text, net.layers))}"),
            ("parameters", f"{train.parameters:,}"),
            ("multiply-adds", f"{train.macs:,}"),
            ("top-1 FP32", f"{_percent(export.fp32.top1)} of {train.split.test} test images"),
            ("top-1 fake-quant", _percent(export.top1_fake_quant)),
            ("top-1 INT8", f"{_percent(export.int8.top1)} ({_percent(export.agreement)} agree with fake-quant)"),
            ("latency budget", _ms(run.net.budget_ms)),
            ("latency INT8", f"predicted {_ms(export.predicted_ms)}, measured {_ms(export.int8.latency_ms_p50)}"),
            ("latency FP32", f"measured {_ms(export.fp32.latency_ms_p50)}"),
            ("size", f"INT8 {_kib(export.int8.size_bytes)}, FP32 {_kib(export.fp32.size_bytes)}"),
            *_format_rows(export),
            ("files", f"{folder / export.int8.path}, {folder / export.fp32.path}"),
        ],
    )


def artifact_table(value: Artifact, path: Path) -> Group:
    """What one stage found."""
    match value:
        case BlockResult():
            return _block_table(value, path)
        case LatencyTable():
            return _latency_view(value, path)
        case NetResult():
            rows = [
                ("network", " ".join(map(layer_text, value.net.layers))),
                ("predicted", f"{_ms(value.predicted_ms)} of {_ms(value.budget_ms)} on {value.cpu}"),
                ("top-1 in the supernet", _percent(value.top1_supernet)),
                ("networks scored", str(value.evaluated)),
            ]
        case TrainResult():
            rows = [
                ("top-1 FP32", f"val {_percent(value.fp32.val)}, test {_percent(value.fp32.test)}"),
                ("top-1 fake-quant", f"val {_percent(value.fake_quant.val)}, test {_percent(value.fake_quant.test)}"),
                ("parameters", f"{value.parameters:,}"),
                ("multiply-adds", f"{value.macs:,}"),
            ]
        case ExportReport():
            rows = [
                ("top-1", f"FP32 {_percent(value.fp32.top1)}, INT8 {_percent(value.int8.top1)}"),
                ("agreement", _percent(value.agreement)),
                ("latency INT8", f"predicted {_ms(value.predicted_ms)}, measured {_ms(value.int8.latency_ms_p50)}"),
                ("latency FP32", f"measured {_ms(value.fp32.latency_ms_p50)}"),
                ("size", f"INT8 {_kib(value.int8.size_bytes)}, FP32 {_kib(value.fp32.size_bytes)}"),
                *_format_rows(value),
            ]
        case _:
            raise TypeError(f"no table for {type(value).__name__}")
    return _facts(str(path), rows)


def _format_rows(export: ExportReport) -> list[tuple[str, str]]:
    return [
        (
            one.format,
            f"{one.path}: top-1 {_percent(one.top1)}, agreement {_percent(one.agreement)}, "
            f"{_ms(one.latency_ms_p50)} by {one.runtime} here, {_kib(one.size_bytes)}",
        )
        for one in export.formats
    ]


def _latency_view(table: LatencyTable, path: Path) -> Group:
    """How far the table can be trusted, and where the time goes."""
    costly = Table(title="costliest workloads", title_justify="left")
    for name in ("part", "input", "out", "operation", "expand", "squeeze", "stride", "ms"):
        costly.add_column(name, justify="left" if name in ("part", "operation") else "right", no_wrap=True)
    for row in table.costliest(10):
        size = f"{row.in_channels} x {row.height}²"
        numbers = (f"{row.expand:g}", str(row.squeeze), str(row.stride), f"{table.row_ms(row):.3f}")
        costly.add_row(row.part, size, str(row.out_channels), row.spatial, *numbers)
    parts: list[Group | Table] = [_facts(str(path), _latency_rows(table)), costly]
    if table.operations:
        shares = Table()
        shares.add_column("operation", no_wrap=True)
        shares.add_column("share", justify="right")
        for one in table.operations:
            shares.add_row(one.operation, f"{one.share:.1%}")
        parts.append(shares)
    return Group(*parts)


def _latency_rows(table: LatencyTable) -> list[tuple[str, str]]:
    held, made = table.held_out, table.protocol
    integer = made.precision == "int8"
    return [
        ("measured on", f"{table.host.cpu} ({table.host.machine}), {made.threads} thread(s), CPU {list(made.cpus)}"),
        ("CPU flags", " ".join(table.host.cpu_flags) or "none that matter for INT8"),
        ("runtime", f"{made.runtime} {made.runtime_version}, {made.precision}, batch {made.batch}"),
        *([("integers", f"{made.activation_type} activations, {made.weight_bits}-bit weights")] if integer else []),
        ("entries", f"{len(table.rows)} workloads"),
        (
            "held-out error",
            f"mean {_percent(held.mean_error)}, p95 {_percent(held.p95_error)}, max {_percent(held.max_error)}",
        ),
        ("rank correlation", f"{held.spearman:.3f} over {held.networks} networks"),
        ("repeatability", f"{_percent(table.repeatability)} between p10 and p90"),
        ("time taken", f"{table.seconds:.1f} s"),
        *[("warning", warning) for warning in table.warnings],
    ]


def _block_table(result: BlockResult, path: Path) -> Group:
    table = Table()
    for name in ("block", "slots", "top-1 FP32", "top-1 INT8", "latency"):
        table.add_column(name, overflow="fold")
    for one in result.comparison:
        table.add_row(
            one.name, block_text(one.block), _percent(one.top1_fp32), _percent(one.top1_int8), _ms(one.latency_ms)
        )
    return _titled(f"{path}: {block_text(result.block)}", table)


def evaluation_view(result: Evaluation) -> Group:
    """The totals over accuracy per class."""
    totals = _facts(
        result.path,
        [
            ("top-1", f"{_percent(result.top1)} of {result.images} images"),
            ("top-5", _percent(result.top5)),
            ("latency", f"{_ms(result.latency_ms_p50)} (p90 {_ms(result.latency_ms_p90)})"),
            (
                "throughput",
                ", ".join(f"{one.images_per_second:,.0f} images/s by {one.batch}" for one in result.throughput),
            ),
            ("size", _kib(result.size_bytes)),
        ],
    )
    table = Table()
    for name in ("class", "images", "precision", "recall"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for one in result.classes:
        table.add_row(one.name, str(one.images), _percent(one.precision), _percent(one.recall))
    return Group(totals, table)


def zoo_table(rows: list[ZooRow]) -> Group:
    """Named networks with their cost; latency where a table gave it."""
    table = Table()
    measured = any(row.latency_ms is not None for row in rows)
    for name in ("name", "parameters", "multiply-adds", *(["latency"] if measured else [])):
        table.add_column(name, justify="left" if name == "name" else "right", no_wrap=True)
    for row in rows:
        latency = [_ms(row.latency_ms)] if measured else []
        table.add_row(row.name, f"{row.params:,}", f"{row.macs:,}", *latency)
    return _titled("Networks at 224 x 224, 1000 classes", table)
