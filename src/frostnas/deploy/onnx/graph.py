"""An ONNX graph under construction, in Q/DQ or plain float form.

In Q/DQ form every activation is followed by QuantizeLinear and DequantizeLinear; runtimes fuse them into integer
kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from frostnas.quant import ActivationQuantizer
from frostnas.version import __version__

OPSET = 17
IR_VERSION = 8
Infos = Sequence[onnx.ValueInfoProto]


@dataclass(frozen=True, slots=True)
class IntegerGrid:
    """8-bit levels of an activation: real value = scale * (level - zero_point)."""

    scale: float = 1.0
    zero_point: int = 0
    signed: bool = False
    """int8 in place of uint8."""

    @classmethod
    def of(cls, quantizer: ActivationQuantizer) -> IntegerGrid:
        return cls(quantizer.scale.item(), quantizer.zero_point, quantizer.scheme.signed_activations)


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph in its float form, and the grid that it lies on."""

    name: str
    stored: str = ""
    """The integers; empty in a float graph."""
    grid: IntegerGrid = field(default_factory=IntegerGrid)
    side: int = 0
    """Height and width in pixels, which asymmetric padding depends on."""


@dataclass
class Graph:
    """Nodes and constants so far. Node and tensor names begin with the name of their layer."""

    quantized: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        self.initializers[name] = numpy_helper.from_array(value, name)
        return name

    def number(self, name: str, value: float) -> str:
        """A float32 scalar."""
        return self.constant(name, np.asarray(value, np.float32))

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def quantize(self, source: str, quantizer: ActivationQuantizer, name: str, gain: float = 1.0) -> Value:
        """Put a float tensor on the quantizer's grid, times ``gain``; in a float graph apply its bounds only.

        The gain costs nothing in integers: it is a part of the scale that they are read with.
        """
        if self.quantized:
            return self.round_to(source, IntegerGrid.of(quantizer), name, gain)
        bounded = self._bounds(source, quantizer, name)
        if gain == 1:
            return Value(bounded)
        return Value(self.node("Mul", [bounded, self.number(f"{name}.gain", gain)], f"{name}.scaled"))

    def round_to(self, source: str, grid: IntegerGrid, name: str, gain: float = 1.0) -> Value:
        """Round a float tensor to a grid; what is read back is multiplied by ``gain``."""
        stored = self.node("QuantizeLinear", [source, *self.levels(grid, name)], f"{name}.q")
        return self.read(stored, replace(grid, scale=grid.scale * gain), name if gain == 1 else f"{name}.read")

    def read(self, stored: str, grid: IntegerGrid, name: str) -> Value:
        """The float form of integers."""
        return Value(self.node("DequantizeLinear", [stored, *self.levels(grid, name)], f"{name}.dq"), stored, grid)

    def levels(self, grid: IntegerGrid, name: str) -> tuple[str, str]:
        """Scale and zero point as constants."""
        kind = np.int8 if grid.signed else np.uint8
        # Rank 0: with rank 1 ONNX Runtime leaves Add in float.
        zero_point = self.constant(f"{name}.zero_point", np.asarray(grid.zero_point, kind))
        return self.number(f"{name}.scale", grid.scale), zero_point

    def per_channel(self, name: str, levels: np.ndarray[Any, Any], scale: np.ndarray[Any, Any]) -> str:
        """Constant integers (C, ...) with a scale per channel (C,) in float form; zero is level 0."""
        stored = self.constant(name, levels)
        scales = self.constant(f"{name}.scale", scale)
        zeros = self.constant(f"{name}.zero_point", np.zeros(len(scale), levels.dtype))
        return self.node("DequantizeLinear", [stored, scales, zeros], f"{name}.dq", axis=0)

    def _bounds(self, source: str, quantizer: ActivationQuantizer, name: str) -> str:
        if quantizer.floor == 0 and quantizer.ceiling == torch.inf:
            return self.node("Relu", [source], f"{name}.relu")
        if quantizer.floor == 0:
            low = self.number(f"{name}.floor", quantizer.floor)
            high = self.number(f"{name}.ceiling", quantizer.ceiling)
            return self.node("Clip", [source, low, high], f"{name}.clip")
        return source

    def model(self, inputs: Infos, outputs: Infos, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The finished, checked model; `tensor` describes its inputs and outputs."""
        nodes = self._read_by(outputs)
        read = {name for node in nodes for name in node.input}
        constants = [value for name, value in self.initializers.items() if name in read]
        model = helper.make_model(
            helper.make_graph(nodes, "frostnas", list(inputs), list(outputs), initializer=constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="frostnas",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _read_by(self, outputs: Infos) -> list[onnx.NodeProto]:
        """The nodes that the outputs depend on: a float form that only integer operations pass by is left out."""
        wanted = {output.name for output in outputs}
        kept = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(node)
        return kept[::-1]


def tensor(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """An input or output of a model; a string is a dynamic dimension."""
    return helper.make_tensor_value_info(name, kind, list(shape))
