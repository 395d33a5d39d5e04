"""The command line as a terminal sees it, in this process: words in, bytes of a given encoding out, an exit status."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from frostnas.artifacts import (
    BlockSpec,
    HeadSpec,
    ImageFormat,
    LayerSpec,
    NetResult,
    NetSpec,
    Provenance,
    StemSpec,
    save,
)
from frostnas.cli import main
from frostnas.deploy.runtime import metadata_of

COLOURS = ("blue", "green", "red")  # by channel of the pixels, in the order of their names
SIZE = 8
NET = NetSpec(
    "tiny", SIZE, StemSpec(8, 2), (LayerSpec(BlockSpec(reuse="none", expand=2), 8, 1),), HeadSpec(16, classes=3)
)
TRAINING = (
    *("net=net.json", f"data.image_size={SIZE}", "data=imagefolder", "data.workers=0", "train.batch_size=4"),
    *("train.float_epochs=1", "train.epochs=1", "train.frozen_epochs=0"),
)
TIMING = ("latency.rounds=2", "latency.round_ms=0.1")


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str


def said(*words: str, encoding: str = "utf-8") -> Said:
    """Run `frostnas WORDS`; an exception that is not an exit comes out, as a traceback would."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, status = sys.excepthook, 0
    try:
        with patch.multiple(sys, argv=["frostnas", *words], stdout=out, stderr=err):
            main()
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    finally:
        sys.excepthook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Said(status, *(stream.buffer.getvalue().decode(encoding) for stream in (out, err)))  # type: ignore[attr-defined]


def colour_model(path: Path, classes: Sequence[str] = COLOURS) -> Path:
    """An exported file that names a picture by its strongest channel, without training."""
    pooled = helper.make_node("GlobalAveragePool", ["image"], ["pooled"])
    flat = helper.make_node("Flatten", ["pooled"], ["colours"])
    columns = [helper.make_node("Gemm", ["colours", "weights"], ["logits"])]
    weights = np.zeros((3, len(classes)), np.float32)
    weights[np.arange(3) % 3, np.arange(3) % len(classes)] = 8
    graph = helper.make_graph(
        [pooled, flat, *columns],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(classes)])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    images = ImageFormat(tuple(classes), SIZE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    helper.set_model_props(model, metadata_of(images, "0" * 64, "1.0"))
    onnx.save(model, str(path))
    return path


def net_json(path: Path) -> Path:
    """A network of one layer, as `net=` takes it."""
    save(path, NetResult(NET, "random", 1.0, 1.0, "a CPU", 0.0, False, 1, 0, 0.0), Provenance())
    return path


def picture(colour: int, seed: int, size: int = 10) -> NDArray[np.uint8]:
    """A noisy square that is mostly of one channel."""
    pixels = np.random.default_rng(seed).integers(0, 100, (size, size, 3)).astype(np.uint8)
    pixels[:, :, colour % 3] += 120
    return pixels


def photo_folder(root: Path, classes: Sequence[str] = COLOURS, count: int = 8) -> Path:
    """A folder of pictures per class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(picture(number, 100 * number + index)).save(root / name / f"{index}.png")
    return root
