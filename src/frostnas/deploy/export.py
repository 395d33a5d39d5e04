"""Export: write the files, run each back in its own runtime, compare with the network in torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from frostnas.artifacts import (
    ExportReport,
    FormatFile,
    Inspection,
    ModelFile,
    Provenance,
    Timing,
    TrainResult,
    save,
    sha256_of,
    sha256_of_value,
    write_atomic,
)
from frostnas.config import Config
from frostnas.data import Images
from frostnas.deploy.formats.base import ParityError
from frostnas.deploy.formats.registry import ONNX, check_installed, writer
from frostnas.deploy.formats.timing import time_runs
from frostnas.deploy.inspection import inspect
from frostnas.deploy.onnx.difference import as_text, layer_differences
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.deploy.onnx.integers import float_operations
from frostnas.deploy.parity import Reference, compare
from frostnas.deploy.runtime import FP32_NAME, INT8_NAME, OnnxClassifier, metadata_of, sealed
from frostnas.engine import predict
from frostnas.nets import Net
from frostnas.quant import ActivationQuantizer, QuantState, check_ranges, set_state
from frostnas.version import __version__

SHOWN_IMAGES = 32  # that layers are compared on
ROUNDS = 30  # of timing, at least
INSPECTION_NAME = f"{Inspection.KIND}.json"
TimeFiles = Callable[[Sequence[Path]], tuple[Sequence[Timing], float | None]]
"""Latency of ONNX files, one image, measured in one interleaved session, and the machine's pace in it, where known."""


def write_models(net: Net, trained: TrainResult, folder: Path) -> tuple[Path, Path]:
    """Write `model.int8.onnx` and `model.fp32.onnx` into ``folder``.

    Raises:
        RangeError: an activation range is not finite.
        ParityError: the runtime of this machine leaves a part of the INT8 network in floating point.
    """
    check_ranges(net)
    metadata = metadata_of(trained.images, sha256_of_value(trained.net), __version__)
    paths = folder / INT8_NAME, folder / FP32_NAME
    for path, quantized in zip(paths, (True, False), strict=True):
        write_atomic(path, sealed(emit_net(net, metadata, quantized=quantized).SerializeToString()))
    left = float_operations(paths[0])
    if left and not net.scheme.signed_activations:  # x86 kernels take uint8 activations only
        named = ", ".join(left[:5])
        raise ParityError(f"{paths[0]}: onnxruntime runs {len(left)} operations in floating point: {named}")
    return paths


def run(
    config: Config,
    net: Net,
    trained: TrainResult,
    test: Images,
    folder: Path,
    time_files: TimeFiles,
    predicted_ms: float | None,
) -> ExportReport:
    """Export a trained network and measure what was exported on the whole test split.

    Raises:
        InputError: a format of `export.formats` is not installed.
        ParityError: agreement or top-1 of an INT8 file, near ties aside, falls short of `export.min_agreement` or
            `export.max_top1_drop` by more than one image; for ONNX it says in which layer the difference begins. The
            files are left for inspection.
    """
    check_installed(config.export.formats)
    int8_path, fp32_path = write_models(net, trained, folder)
    set_state(net, QuantState.FROZEN)
    reference = Reference(test.labels.cpu().numpy(), predict(net, test).cpu().numpy(), _logit_step(net))
    int8 = OnnxClassifier(int8_path, config.latency.threads, own=True)
    parity = compare(int8, test, reference)
    if short := parity.shortfall(reference, config.export):
        some, _ = next(iter(test.subset(torch.from_numpy(parity.apart)).batches(SHOWN_IMAGES)))
        raise ParityError(
            f"{int8_path}: {short}. Layer by layer on {len(some)} of the others:\n"
            f"{as_text(layer_differences(net, int8_path, some))}"
        )
    fp32 = compare(OnnxClassifier(fp32_path, config.latency.threads, own=True), test, reference)
    others = [name for name in config.export.formats if name != ONNX]
    formats = tuple(_other(name, config, net, int8_path, int8.metadata, test, reference) for name in others)
    timings, pace = time_files([int8_path, fp32_path])
    inspection = inspect(net, int8, parity.named, test, reference, trained.images)
    save(folder / INSPECTION_NAME, inspection, Provenance(inputs={INT8_NAME: sha256_of(int8_path)}))
    return ExportReport(
        int8=_describe(int8_path, parity.top1, timings[0]),
        fp32=_describe(fp32_path, fp32.top1, timings[1]),
        top1_fake_quant=reference.top1_fake,
        agreement=parity.agreement,
        tied=len(parity.tied),
        predicted_ms=predicted_ms,
        pace=pace,
        runtime=config.latency.runtime.value,
        threads=config.latency.threads,
        formats=formats,
    )


def _logit_step(net: Net) -> float:
    *_, last = (module for module in net.modules() if isinstance(module, ActivationQuantizer))
    return float(last.scale)


def _other(
    name: str, config: Config, net: Net, int8: Path, metadata: Mapping[str, str], test: Images, reference: Reference
) -> FormatFile:
    """The network in another format than ONNX, which is there already."""
    made = writer(name)(net, int8, metadata, config.latency.threads)
    parity = compare(made.model, test, reference)
    if short := parity.shortfall(reference, config.export):
        raise ParityError(f"{made.path}: {short}; {int8} does as wanted")
    size = net.spec.image_size
    image = np.zeros((1, 3, size, size), np.float32)
    timing = time_runs(lambda: made.model.logits(image), max(config.latency.rounds, ROUNDS), config.latency.round_ms)
    return FormatFile(
        format=name,
        runtime=made.runtime,
        path=made.path.name,
        sha256=sha256_of(made.path),
        size_bytes=sum(file.stat().st_size for file in made.files),
        top1=parity.top1,
        agreement=parity.agreement,
        latency_ms_p50=timing.p50,
        latency_ms_p90=timing.p90,
    )


def _describe(path: Path, top1: float, timing: Timing) -> ModelFile:
    return ModelFile(path.name, sha256_of(path), path.stat().st_size, top1, timing.p50, timing.p90)
