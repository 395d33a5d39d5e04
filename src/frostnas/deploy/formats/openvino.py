"""OpenVINO's IR of the exported file: written, checked for integer kernels, and run back by OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frostnas.deploy.formats.base import Exported, ParityError
from frostnas.nets import Net

IR_NAME = "model.int8.xml"  # and .bin
SETTINGS = {
    "NUM_STREAMS": "1",
    "PERFORMANCE_HINT": "LATENCY",
    # On CPUs with bfloat16 it would otherwise rescale between integer layers in that.
    "INFERENCE_PRECISION_HINT": "f32",
}
HEAVY = ("Convolution", "FullyConnected", "MatMul")
INTEGERS = ("u8", "i8")


def export(net: Net, int8: Path, metadata: Mapping[str, str], threads: int) -> Exported:
    """Write the IR of ``int8`` beside it, with its metadata under `frostnas` in the model's runtime information.

    Raises:
        ParityError: OpenVINO runs a convolution in floating point.
    """
    import openvino

    path = int8.with_name(IR_NAME)
    weights = path.with_suffix(".bin")
    model = openvino.Core().read_model(int8)
    for key, value in metadata.items():
        model.set_rt_info(value, ["frostnas", key])
    openvino.save_model(model, path, compress_to_fp16=False)  # scales keep their bits
    made = IrClassifier(path, threads)
    left = made.float_layers()
    if left:
        raise ParityError(f"{path}: OpenVINO runs {len(left)} layers in floating point: {', '.join(left[:5])}")
    return Exported(path, (path, weights), f"openvino {openvino.__version__.split('-')[0]}", made)


class IrClassifier:
    """An IR compiled for this CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        settings = {**SETTINGS, "INFERENCE_NUM_THREADS": threads}
        self._compiled: Any = openvino.Core().compile_model(path, "CPU", settings)
        self._request = self._compiled.create_infer_request()

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N, 3, S, S) -> float32 (N, classes)."""
        result: Any = self._request.infer([np.ascontiguousarray(images)])
        return np.array(result[0], np.float32)

    def float_layers(self) -> list[str]:
        """Convolutions and matrix products that are not run in integers, as `type name`, in what is really run."""
        found = []
        for layer in self._compiled.get_runtime_model().get_ordered_ops():
            about = layer.get_rt_info()
            kind, precision = about["layerType"].value, about["runtimePrecision"].value
            if kind in HEAVY and precision not in INTEGERS:
                found.append(f"{kind} {layer.get_friendly_name()}")
        return found
