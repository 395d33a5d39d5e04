"""What there is to say of artifacts, as plain tables: `tables` draws them in a terminal, `page` in HTML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frostnas.artifacts import (
    Artifact,
    BlockResult,
    BlockSpec,
    Evaluation,
    ExportReport,
    LadderResult,
    LatencyTable,
    LayerSpec,
    NetResult,
    NetSpec,
    TrainResult,
)
from frostnas.report.units import kib as _kib
from frostnas.report.units import ms as _ms
from frostnas.report.units import percent as _percent

Rows = list[tuple[str, ...]]
NOISE = 0.1  # of a pace: what lies nearer to 1 is not said


@dataclass(frozen=True, slots=True)
class Grid:
    """A table that is not drawn yet."""

    title: str
    rows: Rows
    columns: tuple[str, ...] = ()
    """Headings; none where a row is a name and what there is to say of it."""
    words: tuple[str, ...] = ()
    """The columns that hold words; the others hold numbers."""


@dataclass(frozen=True, slots=True)
class First:
    """The network that a run with a time limit trains first."""

    trained: TrainResult
    exported: bool
    """Whether the run's files are of it: until its own network is exported, and if that one is no better."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The artifacts of a run, as far as it has come."""

    block: BlockResult | None = None
    latency: LatencyTable | None = None
    net: NetResult | None = None
    train: TrainResult | None = None
    export: ExportReport | None = None
    ladder: LadderResult | None = None
    first: First | None = None

    @property
    def exported(self) -> TrainResult | None:
        """The training that the files are of."""
        return self.first.trained if self.first is not None and self.first.exported else self.train

    @property
    def of_first(self) -> bool:
        """Whether the files are of the first network, in which no block was looked for."""
        return self.first is not None and self.first.exported

    @property
    def cpu(self) -> str:
        """The machine that latencies are of; empty where no artifact names one."""
        if self.latency is not None:
            return self.latency.host.cpu
        if self.net is not None:
            return self.net.cpu
        return self.ladder.cpu if self.ladder is not None else ""


@dataclass(frozen=True, slots=True)
class ZooRow:
    """One named network with 1000 classes."""

    name: str
    family: str
    width: float
    params: int
    macs: int
    latency_ms: float | None


def block_text(block: BlockSpec) -> str:
    """A block's slots in one line."""
    slots = (block.reuse, f"expand {block.expand:g}", block.spatial, block.activation)
    return ", ".join((*slots, f"gate {block.gate}", f"skip {block.skip}"))


def layer_text(layer: LayerSpec) -> str:
    """A layer in the published notation [kernel, channels, expand, squeeze, stride]."""
    block = layer.block
    squeeze = block.squeeze if block.expand > 1 else 1
    return f"[{block.kernel},{layer.out_channels},{block.expand:g},{squeeze or 1},{layer.stride}]"


def run_grid(run: RunSummary, folder: Path) -> Grid:
    """What a run has come to: the last thing that `frostnas run` prints, and the first of its report."""
    rows: Rows = []
    found = run.block.block if run.block is not None else None
    used = (run.net.block if run.net is not None else None) or found  # of a given network the layers say it all
    if used is not None and not run.of_first:
        rows.append(("block found" if used == found else "block given", block_text(used)))
    trained = run.exported
    if trained is not None:
        layers = trained.net.layers
        rows += [
            ("network", f"{len(layers)} layers {' '.join(map(layer_text, layers))}"),
            ("parameters", f"{trained.parameters:,}"),
            ("multiply-adds", f"{trained.macs:,}"),
        ]
    if run.export is not None and trained is not None:
        images = trained.split.test
        rows += _promised_and_measured(run.export, folder, images, run.net.budget_ms if run.net is not None else None)
    return Grid(f"frostnas run: {folder}", rows)


def _agreement(export: ExportReport) -> str:
    ties = f", {export.tied} near ties do not" if export.tied else ""
    return f"{_percent(export.agreement)} agree with fake-quant{ties}"


def _promised_and_measured(export: ExportReport, folder: Path, images: int, budget_ms: float | None) -> Rows:
    int8, fp32 = export.int8, export.fp32
    return [
        ("top-1 FP32", f"{_percent(fp32.top1)} of {images} test images"),
        ("top-1 fake-quant", _percent(export.top1_fake_quant)),
        ("top-1 INT8", f"{_percent(int8.top1)} ({_agreement(export)})"),
        *([("latency budget", _ms(budget_ms))] if budget_ms is not None else []),
        ("latency INT8", _latency_text(export)),
        ("latency FP32", f"measured {_ms(fp32.latency_ms_p50)}"),
        ("size", f"INT8 {_kib(int8.size_bytes)}, FP32 {_kib(fp32.size_bytes)}"),
        *_format_rows(export),
        ("files", f"{folder / int8.path}, {folder / fp32.path}"),
    ]


def _latency_text(export: ExportReport) -> str:
    measured = f"measured {_ms(export.int8.latency_ms_p50)}"
    if export.predicted_ms is None:
        return measured
    pace = export.pace or 1.0
    now = f", {_ms(pace * export.predicted_ms)} at the machine's pace now" if abs(pace - 1) > NOISE else ""
    return f"predicted {_ms(export.predicted_ms)}{now}, {measured}"


def artifact_grids(value: Artifact, path: Path) -> list[Grid]:
    """What one stage found."""
    rows: Rows
    match value:
        case BlockResult():
            return [_block_grid(value, path)]
        case LatencyTable():
            return _latency_grids(value, path)
        case NetResult():
            rows = [
                ("network", " ".join(map(layer_text, value.net.layers))),
                ("predicted", f"{_ms(value.predicted_ms)} of {_ms(value.budget_ms)} on {value.cpu}"),
                ("top-1 alone" if value.alone else "top-1 in the supernet", _percent(value.top1)),
                ("networks scored", str(value.evaluated)),
            ]
        case TrainResult():
            rows = [
                ("top-1 FP32", f"val {_percent(value.fp32.val)}, test {_percent(value.fp32.test)}"),
                ("top-1 fake-quant", f"val {_percent(value.fake_quant.val)}, test {_percent(value.fake_quant.test)}"),
                ("parameters", f"{value.parameters:,}"),
                ("multiply-adds", f"{value.macs:,}"),
                *[("warning", warning) for warning in value.warnings],
            ]
        case ExportReport():
            rows = [
                ("top-1", f"FP32 {_percent(value.fp32.top1)}, INT8 {_percent(value.int8.top1)}"),
                ("agreement", _agreement(value)),
                ("latency INT8", _latency_text(value)),
                ("latency FP32", f"measured {_ms(value.fp32.latency_ms_p50)}"),
                ("size", f"INT8 {_kib(value.int8.size_bytes)}, FP32 {_kib(value.fp32.size_bytes)}"),
                *_format_rows(value),
            ]
        case LadderResult():
            return [_ladder_grid(value, path)]
        case _:
            raise TypeError(f"no table for {type(value).__name__}")
    return [Grid(str(path), rows)]


def _ladder_grid(result: LadderResult, path: Path) -> Grid:
    rows: Rows = [
        (
            str(one.image_size),
            _percent(one.top1_fp32),
            _percent(one.top1),
            _percent(one.top1_test),
            _ms(one.latency_ms),
            f"{one.seconds / 60:.1f}",
        )
        for one in result.rungs
    ]
    columns = ("pixels", "val FP32", "val INT8", "test INT8", "latency INT8", "minutes")
    shared = f", one training of {result.shared_seconds / 60:.1f} minutes for all" if result.shared else ""
    return Grid(f"{path}: {result.net} on {result.cpu}{shared}", rows, columns)


def _format_rows(export: ExportReport) -> Rows:
    return [
        (
            one.format,
            f"{one.path}: top-1 {_percent(one.top1)}, agreement {_percent(one.agreement)}, "
            f"{_ms(one.latency_ms_p50)} by {one.runtime} here, {_kib(one.size_bytes)}",
        )
        for one in export.formats
    ]


def _latency_grids(table: LatencyTable, path: Path) -> list[Grid]:
    """How far the table can be trusted, and where the time goes."""
    costly: Rows = []
    for row in table.costliest(10):
        size = f"{row.in_channels} x {row.height}²"
        numbers = (f"{row.expand:g}", str(row.squeeze), str(row.stride), f"{table.row_ms(row):.3f}")
        costly.append((row.part, size, str(row.out_channels), row.spatial, *numbers))
    columns = ("part", "input", "out", "operation", "expand", "squeeze", "stride", "ms")
    grids = [Grid(str(path), _latency_rows(table)), Grid("costliest workloads", costly, columns, ("part", "operation"))]
    if table.operations:
        shares: Rows = [(one.operation, f"{one.share:.1%}") for one in table.operations]
        grids.append(Grid("where the time goes", shares, ("operation", "share"), ("operation",)))
    return grids


def _latency_rows(table: LatencyTable) -> Rows:
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


def _block_grid(result: BlockResult, path: Path) -> Grid:
    rows: Rows = [
        (one.name, block_text(one.block), _percent(one.top1_fp32), _percent(one.top1_int8), _ms(one.latency_ms))
        for one in result.comparison
    ]
    columns = ("block", "slots", "top-1 FP32", "top-1 INT8", "latency")
    return Grid(f"{path}: {block_text(result.block)}", rows, columns, ("block", "slots"))


def evaluation_grids(result: Evaluation) -> list[Grid]:
    """The totals over accuracy per class, over the mistakes that the network was surest of."""
    by_batch = ", ".join(f"{one.images_per_second:,.0f} images/s by {one.batch}" for one in result.throughput)
    totals: Rows = [
        ("top-1", f"{_percent(result.top1)} of {result.images} images"),
        ("images", result.part),
        ("top-5", _percent(result.top5)),
        ("latency", f"{_ms(result.latency_ms_p50)} (p90 {_ms(result.latency_ms_p90)})"),
        ("throughput", by_batch),
        ("size", _kib(result.size_bytes)),
    ]
    classes: Rows = [
        (one.name, str(one.images), _percent(one.precision), _percent(one.recall)) for one in result.classes
    ]
    grids = [Grid(result.path, totals), Grid("", classes, ("class", "images", "precision", "recall"), ("class",))]
    if result.mistakes:
        wrong: Rows = [(one.path, one.true, one.named, f"{one.probability:.1%}") for one in result.mistakes]
        columns = ("image", "is", "named", "probability")
        grids.append(Grid("wrong and surest", wrong, columns, columns[:3]))
    return grids


def zoo_grid(rows: list[ZooRow], size: int) -> Grid:
    """Named networks with their cost at images of ``size`` pixels; latency where a table gave it."""
    measured = any(row.latency_ms is not None for row in rows)
    cells: Rows = []
    for row in rows:
        latency = [_ms(row.latency_ms)] if measured else []
        cells.append((row.name, f"{row.params:,}", f"{row.macs:,}", *latency))
    columns = ("name", "parameters", "multiply-adds", *(["latency"] if measured else []))
    return Grid(f"Networks at {size} x {size}, 1000 classes", cells, columns, ("name",))


def layers_grid(net: NetSpec) -> Grid:
    """A network, a layer per row."""
    stem, head = net.stem, net.head
    rows: Rows = [
        (f"convolution {stem.kernel}x{stem.kernel}, {stem.activation}", str(stem.channels), str(stem.stride)),
        *((block_text(layer.block), str(layer.out_channels), str(layer.stride)) for layer in net.layers),
        (f"convolution 1x1, {head.activation}, average pool", str(head.channels), ""),
        *([(f"fully connected, {head.activation}", str(head.hidden), "")] if head.hidden else []),
        ("classifier", str(head.classes), ""),
    ]
    return Grid("layers", rows, ("layer", "channels", "stride"), ("layer",))
