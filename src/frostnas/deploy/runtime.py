"""An exported file in ONNX Runtime, with what its metadata says. Needs neither torch nor the training code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from frostnas.artifacts import ImageFormat, Reading
from frostnas.errors import InputError

INPUT, OUTPUT = "image", "logits"
INT8_NAME, FP32_NAME = "model.int8.onnx", "model.fp32.onnx"  # in a run directory


def metadata_of(images: ImageFormat, net_sha256: str, version: str) -> dict[str, str]:
    """The metadata that every exported file carries, JSON where a value is a list."""
    return {
        "classes": json.dumps(images.classes),
        "image_size": str(images.image_size),
        "mean": json.dumps(images.mean),
        "std": json.dumps(images.std),
        "background": json.dumps(images.reading.background),
        "levels": json.dumps(images.reading.levels),
        "frostnas_version": version,
        "net_sha256": net_sha256,
    }


def _images_of(path: Path, metadata: Mapping[str, str]) -> ImageFormat:
    try:
        mean, std = json.loads(metadata["mean"]), json.loads(metadata["std"])
        classes = tuple(json.loads(metadata["classes"]))
        (red, green, blue), levels = json.loads(metadata["background"]), json.loads(metadata["levels"])
        reading = Reading((red, green, blue), levels and (levels[0], levels[1]))
        size = int(metadata["image_size"])
        return ImageFormat(classes, size, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), reading)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{path}: not exported by frostnas: metadata key {error} is missing or wrong") from None


class OnnxClassifier:
    """An exported network: normalised images in, logits out."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """
        Raises:
            InputError: the file is missing, cannot be loaded, or was not exported by frostnas.
        """
        if not path.is_file():
            raise InputError(f"{path}: no such file; expected an exported .onnx file")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own for every kind of broken file
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: onnxruntime cannot load it ({reason})") from None
        self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.images = _images_of(path, self.metadata)

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N, 3, S, S) -> float32 (N, classes)."""
        result: Any = self.session.run([OUTPUT], {INPUT: np.ascontiguousarray(images)})[0]
        return result  # type: ignore[no-any-return]

    def chances(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities: float32 (N, 3, S, S) -> float64 (N, classes)."""
        logits = self.logits(images).astype(np.float64)
        grown = np.exp(logits - logits.max(1, keepdims=True))
        shares: NDArray[np.float64] = grown / grown.sum(1, keepdims=True)
        return shares
