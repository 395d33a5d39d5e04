"""A finished run as its artifacts alone, made up: what a report is drawn from."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from frostnas.artifacts import (
    Accuracy,
    BlockSpec,
    Calibration,
    CheckedNetwork,
    Confusion,
    ExportReport,
    HeadSpec,
    Host,
    ImageFormat,
    Inspection,
    LadderResult,
    LatencyTable,
    LayerHealth,
    LayerSpec,
    ModelFile,
    NetResult,
    NetSpec,
    Protocol,
    Rung,
    ShownImage,
    SplitRecord,
    StemSpec,
    Timing,
    TrainResult,
    Validation,
    row_of,
)
from frostnas.report.grids import RunSummary
from frostnas.report.reported import Reported

CLASSES = ("cat", "dog", "owl")
NET = NetSpec(
    "picked",
    32,
    StemSpec(16),
    tuple(LayerSpec(BlockSpec(), channels, stride) for channels, stride in ((16, 1), (24, 2), (24, 1))),
    HeadSpec(64, classes=3),
)
PARETO = """network,latency_ms,top1,on_front,picked,measured,alone
a,0.20,0.70,True,False,False,False
b,0.25,0.69,False,False,False,False
picked,0.31,0.82,True,True,False,False
picked,0.32,0.85,False,False,True,True
mobilenet_v2_1_0,0.40,0.80,False,False,True,True
"""
CURVES = "epoch,phase,lr,train_loss,train_top1,val_top1\n" + "\n".join(
    f"{n},{'float' if n < 4 else 'qat'},{0.05 / n},{2 / n},{1 - 1 / n},{0.9 - 0.8 / n}" for n in range(1, 9)
)


def made_run(folder: Path) -> Reported:
    """The artifacts of a run, and in ``folder`` the tables that a report reads beside them."""
    (folder / "metrics").mkdir(parents=True)
    (folder / "metrics" / "train.csv").write_text(CURVES)
    (folder / "pareto.csv").write_text(PARETO)
    table = _table()
    net = NetResult(NET, "evolution", 0.33, table.predict_ms(NET), "a CPU", 0.82, False, 3, 0, 1.0)
    split = SplitRecord("imagefolder", 0, 60, 10, 20, 0.2, None, ())
    images = ImageFormat(CLASSES, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    accuracy = Accuracy(0.85, 0.8)
    train = TrainResult(NET, images, split, 7, False, accuracy, accuracy, 8, 10_000, 1_000_000, "0" * 64, 0, 1.0)
    int8 = ModelFile("model.int8.onnx", "0" * 64, 20_000, 0.8, 0.33, 0.35)
    fp32 = replace(int8, path="model.fp32.onnx", size_bytes=60_000, latency_ms_p50=0.5)
    export = ExportReport(int8, fp32, 0.8, 1.0, 0.31, "onnxruntime", 1, ())
    run = RunSummary(latency=table, net=net, train=train, export=export)
    return Reported(folder.name, folder, run, inspection=_inspection())


def made_ladder() -> LadderResult:
    """One network at two sizes."""
    rungs = tuple(
        Rung(side, 0.8, top1, 0.7, side / 100, side / 90, 20_000, 1_000_000, f"sizes/{side}/m.onnx", 1.0)
        for side, top1 in ((16, 0.81), (32, 0.83))
    )
    return LadderResult("efficientnet_lite0", False, rungs, "a CPU", "onnxruntime", 1, 0.0)


def _table() -> LatencyTable:
    parts = {one.key: one for one in NET.workloads()}
    rows = [row_of(one, Timing(0.05, 0.06, 0.07), Timing(0.06, 0.07, 0.08)) for one in parts.values()]
    check = Validation(4, 0.02, 0.03, 0.03, 0.9)
    return LatencyTable(
        host=Host("x86_64", "a CPU", ("avx2",), "Linux"),
        protocol=Protocol("onnxruntime", "1.22", "int8", 1, (0,), 1, "uint8", 7),
        calibration=Calibration(0.5, 0.5, 0.001),
        fitted=check,
        held_out=check,
        repeatability=0.02,
        seconds=1.0,
        csv_sha256="",
        rows=tuple(rows),
        networks=tuple(CheckedNetwork(0.2 + 0.02 * n, 0.205 + 0.02 * n, n % 2 == 1) for n in range(8)),
    )


def _inspection() -> Inspection:
    names = ["input", "stem", *(f"layers.{n}.{part}" for n in range(3) for part in ("expand", "spatial")), "head.0"]
    layers = tuple(LayerHealth(name, -1.0, 5.0, -0.5, 4.0, 0.001, 35.0 - 4 * n) for n, name in enumerate(names))
    cells = (Confusion(0, 0, 7), Confusion(0, 1, 2), Confusion(1, 1, 6), Confusion(2, 2, 3), Confusion(2, 0, 2))
    content = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), (200, 40, 90), np.uint8)).save(content, "PNG")
    png = base64.b64encode(content.getvalue()).decode()
    shown = (ShownImage(3, 0, 1, 0.93, png), ShownImage(9, 2, 0, 0.6, png), ShownImage(1, 1, 1, 0.4, png))
    return Inspection(CLASSES, 20, layers, 16, cells, shown)
