"""Export: write the INT8 and FP32 files, run both back, compare with the network in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from frostnas.artifacts import ExportReport, ModelFile, Timing, TrainResult, sha256_of, sha256_of_value, write_atomic
from frostnas.config import Config
from frostnas.data import Images
from frostnas.deploy.emitter import emit_net
from frostnas.deploy.integer_check import float_operations
from frostnas.deploy.runtime import OnnxClassifier, metadata_of
from frostnas.nets import Net
from frostnas.quant import QuantState, check_ranges, set_state
from frostnas.version import __version__

INT8_NAME, FP32_NAME = "model.int8.onnx", "model.fp32.onnx"
BATCH = 256
TimeFiles = Callable[[Sequence[Path]], Sequence[Timing]]
"""Latency of ONNX files, one image, measured in one interleaved session."""


class ParityError(RuntimeError):
    """The exported file does not do what the trained network does; the message gives the figures."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Classes that a network names on the test split, int64 (N,)."""

    labels: NDArray[np.int64]
    named: NDArray[np.int64]

    @property
    def top1(self) -> float:
        return float((self.labels == self.named).mean())


def predict_torch(net: Net, images: Images) -> Predictions:
    """Evaluate the live network in its present quantization state."""
    net.eval()
    labels, named = [], []
    with torch.inference_mode():
        for batch, label in images.batches(BATCH):
            logits = net(batch)
            assert isinstance(logits, torch.Tensor)
            named.append(logits.argmax(1).cpu().numpy())
            labels.append(label.cpu().numpy())
    return Predictions(np.concatenate(labels), np.concatenate(named))


def predict_onnx(model: OnnxClassifier, images: Images) -> Predictions:
    """Evaluate an exported file with its runtime."""
    labels, named = [], []
    for batch, label in images.batches(BATCH):
        named.append(model.logits(batch.cpu().numpy()).argmax(1))
        labels.append(label.cpu().numpy())
    return Predictions(np.concatenate(labels), np.concatenate(named))


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
        write_atomic(path, emit_net(net, metadata, quantized=quantized).SerializeToString())
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
        ParityError: agreement or top-1 of the INT8 file falls short of `export.min_agreement` or
            `export.max_top1_drop`; the files are left for inspection.
    """
    int8_path, fp32_path = write_models(net, trained, folder)
    set_state(net, QuantState.FROZEN)
    fake = predict_torch(net, test)
    int8 = predict_onnx(OnnxClassifier(int8_path, config.latency.threads), test)
    fp32 = predict_onnx(OnnxClassifier(fp32_path, config.latency.threads), test)
    agreement = float((fake.named == int8.named).mean())
    limits = config.export
    if agreement < limits.min_agreement or fake.top1 - int8.top1 > limits.max_top1_drop:
        raise ParityError(
            f"{int8_path}: agrees with fake-quant on {agreement:.2%} of the test images (at least "
            f"{limits.min_agreement:.2%} wanted), top-1 {int8.top1:.2%} against {fake.top1:.2%}"
        )
    timings = time_files([int8_path, fp32_path])
    return ExportReport(
        int8=_describe(int8_path, int8, timings[0]),
        fp32=_describe(fp32_path, fp32, timings[1]),
        top1_fake_quant=fake.top1,
        agreement=agreement,
        predicted_ms=predicted_ms,
        runtime=config.latency.runtime.value,
        threads=config.latency.threads,
    )


def _describe(path: Path, predictions: Predictions, timing: Timing) -> ModelFile:
    onnx.checker.check_model(str(path), full_check=True)
    return ModelFile(path.name, sha256_of(path), path.stat().st_size, predictions.top1, timing.p50, timing.p90)
