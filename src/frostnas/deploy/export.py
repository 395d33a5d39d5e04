"""Export: write the INT8 and FP32 files, run both back, compare with the network in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frostnas.artifacts import ExportReport, ModelFile, Timing, TrainResult, sha256_of, sha256_of_value, write_atomic
from frostnas.config import Config
from frostnas.data import Images
from frostnas.deploy.difference import as_text, layer_differences
from frostnas.deploy.emitter import emit_net
from frostnas.deploy.integer_check import float_operations
from frostnas.deploy.runtime import FP32_NAME, INT8_NAME, OnnxClassifier, metadata_of
from frostnas.engine import predict
from frostnas.nets import Net
from frostnas.quant import QuantState, check_ranges, set_state
from frostnas.version import __version__

BATCH = 256
SHOWN_IMAGES = 32  # that layers are compared on
TimeFiles = Callable[[Sequence[Path]], Sequence[Timing]]
"""Latency of ONNX files, one image, measured in one interleaved session."""


class ParityError(RuntimeError):
    """The exported file does not do what the trained network does; the message gives the figures."""


def named_by_file(model: OnnxClassifier, images: Images) -> NDArray[np.int64]:
    """The class that an exported file names for every image in order, int64 (N,)."""
    return np.concatenate([model.logits(batch.cpu().numpy()).argmax(1) for batch, _ in images.batches(BATCH)])


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
            `export.max_top1_drop` by more than one image; it says in which layer the difference begins, and the files
            are left for inspection.
    """
    int8_path, fp32_path = write_models(net, trained, folder)
    set_state(net, QuantState.FROZEN)
    labels = test.labels.cpu().numpy()
    fake = predict(net, test).argmax(1).cpu().numpy()
    int8 = named_by_file(OnnxClassifier(int8_path, config.latency.threads), test)
    fp32 = named_by_file(OnnxClassifier(fp32_path, config.latency.threads), test)
    agreement, top1_fake, top1_int8 = (float(np.mean(same)) for same in (fake == int8, fake == labels, int8 == labels))
    limits, one = config.export, 1 / len(labels)
    if agreement + one < limits.min_agreement or top1_fake - top1_int8 - one > limits.max_top1_drop:
        some, _ = next(iter(test.batches(SHOWN_IMAGES)))
        raise ParityError(
            f"{int8_path}: agrees with fake-quant on {agreement:.2%} of the test images (at least "
            f"{limits.min_agreement:.2%} wanted), top-1 {top1_int8:.2%} against {top1_fake:.2%} (at most "
            f"{limits.max_top1_drop:.2%} less wanted). Layer by layer on {len(some)} images:\n"
            f"{as_text(layer_differences(net, int8_path, some))}"
        )
    timings = time_files([int8_path, fp32_path])
    return ExportReport(
        int8=_describe(int8_path, top1_int8, timings[0]),
        fp32=_describe(fp32_path, float(np.mean(fp32 == labels)), timings[1]),
        top1_fake_quant=top1_fake,
        agreement=agreement,
        predicted_ms=predicted_ms,
        runtime=config.latency.runtime.value,
        threads=config.latency.threads,
    )


def _describe(path: Path, top1: float, timing: Timing) -> ModelFile:
    return ModelFile(path.name, sha256_of(path), path.stat().st_size, top1, timing.p50, timing.p90)
