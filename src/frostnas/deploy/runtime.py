"""An exported file in ONNX Runtime, with what its metadata says. Needs neither torch nor the training code."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from frostnas.artifacts import ImageFormat, checked
from frostnas.errors import InputError

INPUT, OUTPUT = "image", "logits"
INT8_NAME, FP32_NAME = "model.int8.onnx", "model.fp32.onnx"  # in a run directory
SEAL, UNSEALED = "file_sha256", "0" * 64
SEALED = re.compile(SEAL.encode() + rb"\x12\x40([0-9a-f]{64})")
"""The metadata entry as protobuf writes it: the value is field 2, of 64 bytes."""
LARGEST = 2**29
"""Bytes of a file that is read: a network of `artifacts.specs.MOST_WEIGHTS` in floating point, and some."""
MEMORY = 3 * 2**28
"""Bytes that onnxruntime may take for the weights and tensors of a file that came from elsewhere."""


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
        SEAL: UNSEALED,
    }


def sealed(content: bytes) -> bytes:
    """The bytes of an ONNX file with `metadata_of`, with the SHA-256 of what they were before in `file_sha256`."""
    digest = hashlib.sha256(content).hexdigest()
    return SEALED.sub(SEAL.encode() + b"\x12\x40" + digest.encode(), content, count=1)


def _whole(path: Path) -> bytes:
    """The bytes of a sealed file.

    Raises:
        InputError: the file is missing, too large, was not exported by frostnas, or was changed since.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an exported .onnx file")
    if (size := path.stat().st_size) > LARGEST:
        raise InputError(f"{path}: {size:,} bytes; expected at most {LARGEST:,} of an exported file")
    content = path.read_bytes()
    found = SEALED.search(content)
    if found is None:
        raise InputError(f"{path}: not a whole file that frostnas exported; its metadata lacks {SEAL}")
    start, end = found.span(1)
    digest = hashlib.sha256(content[:start])
    digest.update(UNSEALED.encode())
    digest.update(memoryview(content)[end:])
    if digest.hexdigest() != found[1].decode():
        raise InputError(f"{path}: was changed after it was exported; copy or export it again")
    return content


@cache
def _limit_memory() -> None:
    """Make the allocator, one for the process, that a session takes with `session.use_env_allocators`."""
    kind = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(kind, ort.OrtArenaCfg({"max_mem": MEMORY}))


def _images_of(path: Path, metadata: Mapping[str, str]) -> ImageFormat:
    said: dict[str, Any] = {}
    for key in ("classes", "image_size", "mean", "std", "background", "levels"):
        try:
            said[key] = msgspec.json.decode(metadata[key])
        except (KeyError, msgspec.DecodeError, RecursionError):
            raise InputError(f"{path}: metadata key {key} is missing or no JSON; export it again") from None
    reading = {key: said.pop(key) for key in ("background", "levels")}
    return checked(f"{path}: metadata", said | {"reading": reading}, ImageFormat)


class OnnxClassifier:
    """An exported network: normalised images in, logits out."""

    def __init__(self, path: Path, threads: int = 1, *, own: bool = False) -> None:
        """Args: own: this process made the file, which may take all memory; others have `MEMORY`.

        Raises:
            InputError: the file is missing, damaged, cannot be loaded, or does not say of itself what frostnas writes.
        """
        self.path = path
        content = _whole(path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        avoided = []
        if not own:
            _limit_memory()
            options.add_session_config_entry("session.use_env_allocators", "1")
            avoided = ["ConstantFolding"]  # it computes before it is asked, in memory that nothing limits
        try:
            self.session = ort.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], disabled_optimizers=avoided
            )
        except Exception as error:  # onnxruntime raises classes of its own for every kind of broken file
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: onnxruntime cannot load it ({reason})") from None
        metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.metadata = {key: value for key, value in metadata.items() if key != SEAL}
        """What the file says of the network; not its seal, which is of this file alone."""
        self.images = _images_of(path, self.metadata)
        _check_ends(path, self.session, self.images)

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N, 3, S, S) -> float32 (N, classes).

        Raises:
            InputError: the file's operations do not fit together, take more than `MEMORY`, or give no finite logits.
        """
        try:
            result: Any = self.session.run([OUTPUT], {INPUT: np.ascontiguousarray(images)})[0]
        except Exception as error:  # as above
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.path}: onnxruntime cannot run it ({reason})") from None
        if result.shape != (len(images), len(self.images.classes)) or not np.isfinite(result).all():
            raise InputError(f"{self.path}: gives {OUTPUT} {result.shape} that are not all finite, or of another shape")
        return result  # type: ignore[no-any-return]

    def chances(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities: float32 (N, 3, S, S) -> float64 (N, classes)."""
        logits = self.logits(images).astype(np.float64)
        grown = np.exp(logits - logits.max(1, keepdims=True))
        shares: NDArray[np.float64] = grown / grown.sum(1, keepdims=True)
        return shares


def _check_ends(path: Path, session: Any, images: ImageFormat) -> None:
    """Raise InputError unless input and output are those that the metadata speaks of."""
    side, classes = images.image_size, len(images.classes)
    for kind, ends, name, shape in (
        ("inputs", session.get_inputs(), INPUT, [3, side, side]),
        ("outputs", session.get_outputs(), OUTPUT, [classes]),
    ):
        found = [(end.name, end.type, end.shape[1:]) for end in ends]
        if found != [(name, "tensor(float)", shape)]:
            said = ", ".join(f"{name} {kind} (batch, {', '.join(map(str, shape))})" for name, kind, shape in found)
            wanted = f"{name} tensor(float) (batch, {', '.join(map(str, shape))})"
            raise InputError(f"{path}: has {kind} {said:.200}; its metadata asks for {wanted}")
