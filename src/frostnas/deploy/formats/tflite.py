"""LiteRT's `.tflite`, for phones: written, checked for integers, and run back by LiteRT."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import singledispatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frostnas.artifacts import write_atomic
from frostnas.deploy.formats.base import Exported, ParityError, hushed
from frostnas.deploy.formats.decomposed import (
    HIGH,
    LOW,
    Decomposed,
    Flow,
    Form,
    IntegerConvolution,
    IntegerWeights,
    affine,
    form,
    gives,
    read_from,
    round_to,
    signed_grid,
)
from frostnas.nets import Net
from frostnas.quant import Concat, Layer

TFLITE_NAME = "model.int8.tflite"


class _RoundedWeights(nn.Module):
    """float32 weights that are rounded in the graph: the converter takes no integer constants."""

    weight: Tensor

    def __init__(self, weights: IntegerWeights) -> None:
        super().__init__()
        self.register_buffer("weight", weights())
        self.register_buffer("scale", weights.scale)
        self.register_buffer("zero", weights.zero)

    def forward(self) -> Tensor:
        form, arguments = torch.ops.quantized_decomposed, (self.scale, self.zero, 0, -HIGH, HIGH, torch.int8)
        return form.dequantize_per_channel(form.quantize_per_channel(self.weight, *arguments), *arguments)  # type: ignore[no-any-return]


class _Join(nn.Module):
    """Inputs brought to one grid by convolutions with 1: the converter loses a change of grid without arithmetic."""

    def __init__(self, inputs: tuple[Flow, ...], layer: Concat) -> None:
        super().__init__()
        self.grid = signed_grid(layer.quantizer)
        self.rescale = nn.ModuleList(affine(given, 1.0, 0.0) for given in inputs)

    def forward(self, *values: Tensor) -> Tensor:
        moved = [rescale(value) for rescale, value in zip(self.rescale, values, strict=True)]
        return torch.cat([read_from(round_to(value, self.grid), self.grid) for value in moved], dim=1)


@singledispatch
def _form(layer: Layer, *inputs: Flow) -> Form:
    return form(layer, *inputs)


@_form.register
def _(layer: Concat, *inputs: Flow) -> Form:
    join = _Join(inputs, layer)
    return Form(join, inputs, gives(layer, *inputs))


def export(net: Net, int8: Path, metadata: Mapping[str, str], threads: int) -> Exported:
    """Write the network, of one image, beside ``int8``, with its metadata as JSON in the file's entry `frostnas`.

    Raises:
        ParityError: the converter does not take the network, or leaves a part of it in floating point.
    """
    path = int8.with_name(TFLITE_NAME)
    size = net.spec.image_size
    with hushed():
        write_atomic(path, _described(_converted(net, torch.zeros(1, 3, size, size)), metadata))
        model = TfliteClassifier(path, threads)
    if left := model.float_tensors():
        raise ParityError(f"{path}: {len(left)} tensors are left in floating point: {', '.join(left[:5])}")
    return Exported(path, (path,), f"tflite {version('ai-edge-litert')}", model)


def _converted(net: Net, image: Tensor) -> bytes:
    import litert_torch
    from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
    from litert_torch.quantize.quant_config import QuantConfig

    litert_torch.config.show_progress = False
    network = Decomposed(net, _form).eval()
    for layer in network.modules():
        if isinstance(layer, IntegerConvolution) and isinstance(layer.weights, IntegerWeights):
            layer.weights = _RoundedWeights(layer.weights)
    # Without a static quantizer, which is not run, operations stay in float32 between QUANTIZE and DEQUANTIZE.
    static = PT2EQuantizer().set_global(get_symmetric_quantization_config())
    try:
        model = litert_torch.convert(network, (image,), quant_config=QuantConfig(pt2e_quantizer=static))
    except Exception as error:  # its passes raise whatever they meet
        raise ParityError(f"{TFLITE_NAME}: the converter refuses the network: {error}") from error
    content: bytes = model.model_content()
    return content


def _described(content: bytes, metadata: Mapping[str, str]) -> bytes:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    text, entry = schema.BufferT(), schema.MetadataT()
    text.data = list(json.dumps(dict(metadata)).encode())
    entry.name, entry.buffer = "frostnas", len(model.buffers)
    model.buffers.append(text)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


class TfliteClassifier:
    """A `.tflite` file in this process, one image at a time; its input and output are int8 levels."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (self._input,), (self._output,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N, 3, S, S) -> float32 (N, classes)."""
        scale, zero_point = self._input["quantization"]
        levels = np.rint(images / np.float32(scale)) + zero_point
        every = [self._answer(one) for one in levels.clip(LOW, HIGH).astype(np.int8)]
        scale, zero_point = self._output["quantization"]
        result: NDArray[np.float32] = (np.concatenate(every).astype(np.float32) - zero_point) * np.float32(scale)
        return result

    def _answer(self, levels: NDArray[np.int8]) -> NDArray[np.int8]:
        self._interpreter.set_tensor(self._input["index"], levels[None])
        self._interpreter.invoke()
        answer: NDArray[np.int8] = self._interpreter.get_tensor(self._output["index"])
        return answer

    def float_tensors(self) -> list[str]:
        """Names of tensors that are not integers."""
        every = self._interpreter.get_tensor_details()
        return [str(one["name"]) for one in every if not np.issubdtype(one["dtype"], np.integer)]
