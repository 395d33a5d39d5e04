"""A run directory made without searching or training: every artifact and file of a finished run, in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from frostnas.artifacts import (
    Accuracy,
    BlockHistoryRow,
    BlockResult,
    BlockSpec,
    CandidateCosts,
    ClassImages,
    Contender,
    EpochRow,
    ExportReport,
    HeadSpec,
    ImageFormat,
    LayerSpec,
    NetResult,
    NetSpec,
    ParetoRow,
    Provenance,
    SeedResult,
    SlotResult,
    SplitRecord,
    StemSpec,
    TrainResult,
    csv_of,
    save,
    sha256_of,
    sha256_of_value,
    write_rows,
)
from frostnas.artifacts.results import ModelFile
from frostnas.artifacts.store import Artifact
from frostnas.deploy.export import write_models
from frostnas.engine.weights import weights_of
from frostnas.nets import Net, count
from frostnas.quant import Scheme
from tests.emitted import as_if_trained
from tests.latency_parts import table

BLOCK = BlockSpec(reuse="squeeze_2", expand=3)
SPEC = NetSpec("made", 8, StemSpec(16, 1), (LayerSpec(BLOCK, 16, 1), LayerSpec(BLOCK, 24, 2)), HeadSpec(32, classes=10))
DIGITS = tuple(str(digit) for digit in range(10))


def make_run(folder: Path, seed: int = 0) -> Path:
    """Write a run of the bundled digits at 8 pixels; another seed has other weights and numbers."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    net = Net(SPEC, Scheme(7))
    as_if_trained(net, (8, 3, 8, 8))
    save_file(weights_of(net), folder / "weights.safetensors")
    save_file(weights_of(net), folder / "net.safetensors")
    weights = sha256_of(folder / "weights.safetensors")
    rows = table(4)
    accuracy, digits = Accuracy(0.9, 0.8 + seed / 100), ImageFormat(DIGITS, 8, (0.3, 0.3, 0.3), (0.4, 0.4, 0.4))
    costs = count(SPEC)
    trained = TrainResult(
        net=SPEC,
        images=digits,
        split=SplitRecord("digits", 0, 1000, 200, 2, 0.2, (3, 5), (ClassImages("", "0", 1202, "0" * 64),)),
        weight_bits=7,
        signed_activations=False,
        fp32=accuracy,
        fake_quant=accuracy,
        best_epoch=3,
        parameters=costs.parameters,
        macs=costs.macs,
        weights_sha256=weights,
        seed=seed,
        seconds=1.5,
    )
    int8, fp32 = write_models(net, trained, folder)
    found: list[tuple[Artifact, dict[str, str]]] = [
        (_block(seed), {}),
        (replace(rows, rows=(), csv_sha256=write_rows(folder / "latency.csv", rows.rows)), {}),
        (NetResult(SPEC, "evolution", 2.0, 1.9, "a CPU", 0.9, False, 17 + seed, seed, 1.5, weights, BLOCK), {}),
        (trained, {"net": sha256_of_value(SPEC)}),
        (
            ExportReport(_file(int8, 0.8), _file(fp32, 0.8 + seed / 100), 0.8, 1.0, 0.02, "onnxruntime", 1, ()),
            {},
        ),
    ]
    for value, inputs in found:
        save(folder / f"{value.KIND}.json", value, Provenance({"seed": seed}, inputs))
    (folder / "config.yaml").write_text(f"seed: {seed}\n")
    (folder / "metrics").mkdir()
    epochs = [EpochRow(n, "qat", 0.1 / n, 2 / n, 1 - 1 / n, 0.9 - seed / 100 - 0.8 / n) for n in range(1, 4)]
    (folder / "metrics" / "train.csv").write_bytes(csv_of(EpochRow, epochs))
    networks = [ParetoRow(f"{width}", 0.5 * width, 0.8 + seed / 100, True, width == 2) for width in (1, 2, 3)]
    (folder / "pareto.csv").write_bytes(csv_of(ParetoRow, networks))
    return folder


def _file(path: Path, top1: float) -> ModelFile:
    return ModelFile(path.name, sha256_of(path), path.stat().st_size, top1, 0.01, 0.02)


def _block(seed: int) -> BlockResult:
    chances = {"reuse": (0.25, 0.75)}
    one = SeedResult(seed, BLOCK, 1, chances, 1.5, {"a": 0.5}, {"a": 0.25}, BLOCK)
    row = BlockHistoryRow(seed, 1, "search", chances, {"reuse": 0.8}, {"reuse": 0.5}, 2.3, 0.1, None, 0.5, "a")
    return BlockResult(
        block=BLOCK,
        slots=(SlotResult("reuse", "squeeze_2", ("none", "squeeze_2"), (0.25, 0.75), 0.5, True, 1.0),),
        history=(row,),
        comparison=(Contender("found", BLOCK, 0.9, 0.9, 0.1, None),),
        seeds=(one,),
        costs=CandidateCosts(0.1, {"reuse": (1.0, 1.1)}),
        warnings=("a warning",),
        seed=seed,
        seconds=1.5,
    )
