"""A fake-quantized network as an ONNX graph in Q/DQ form, written layer by layer.

The dataflow comes from `torch.fx` with the quantization-aware layers as leaves, so a block's wiring is written once,
in its `forward`. Every activation is followed by QuantizeLinear and DequantizeLinear; runtimes fuse them into integer
kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from frostnas.nets.net import Net
from frostnas.nets.trace import trace
from frostnas.quant import (
    ActivationQuantizer,
    Add,
    Concat,
    ConvBN,
    Dropout,
    GlobalAveragePool,
    HardSwish,
    MaxPool,
    Multiply,
)
from frostnas.version import __version__

OPSET = 17
IR_VERSION = 8
PACK = 4
"""Integer kernels take products in fours: with 3 input channels a stem takes twice as long as with 4."""
Infos = Sequence[onnx.ValueInfoProto]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph in its float form, and the grid that it lies on."""

    name: str
    stored: str = ""
    """The integers; empty in a float graph."""
    scale: float = 1.0
    zero_point: int = 0
    signed: bool = False


@dataclass
class Graph:
    """An ONNX graph under construction; one method per layer type, in Q/DQ or plain float form."""

    quantized: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(value, name)
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def _grid(self, name: str, scale: float, zero_point: int, signed: bool) -> tuple[str, str]:
        # Rank 0: with rank 1 ONNX Runtime leaves Add in float.
        kind = np.int8 if signed else np.uint8
        return (
            self.constant(f"{name}.scale", np.asarray(scale, np.float32)),
            self.constant(f"{name}.zero_point", np.asarray(zero_point, kind)),
        )

    def quantize(self, source: str, quantizer: ActivationQuantizer, name: str, gain: float = 1.0) -> Value:
        """Put a float tensor on the quantizer's grid, times ``gain``; in a float graph apply its bounds only.

        The gain costs nothing in integers: it is a part of the scale that they are read with.
        """
        if self.quantized:
            signed = quantizer.scheme.signed_activations
            return self._on_grid(source, name, quantizer.scale.item(), quantizer.zero_point, signed, gain)
        bounded = self._bounds(source, quantizer, name)
        if gain == 1:
            return Value(bounded)
        factor = self.constant(f"{name}.gain", np.asarray(gain, np.float32))
        return Value(self.node("Mul", [bounded, factor], f"{name}.scaled"))

    def _on_grid(self, source: str, name: str, scale: float, zero_point: int, signed: bool, gain: float = 1.0) -> Value:
        grid = self._grid(name, scale, zero_point, signed)
        stored = self.node("QuantizeLinear", [source, *grid], f"{name}.q")
        read = grid if gain == 1 else self._grid(f"{name}.read", scale * gain, zero_point, signed)
        result = self.node("DequantizeLinear", [stored, *read], f"{name}.dq")
        return Value(result, stored, scale * gain, zero_point, signed)

    def read(self, stored: str, quantizer: ActivationQuantizer, name: str) -> Value:
        """The float form of integers that are on the quantizer's grid already."""
        scale, zero_point, signed = quantizer.scale.item(), quantizer.zero_point, quantizer.scheme.signed_activations
        grid = self._grid(name, scale, zero_point, signed)
        result = self.node("DequantizeLinear", [stored, *grid], f"{name}.dq")
        return Value(result, stored, scale, zero_point, signed)

    def _bounds(self, source: str, quantizer: ActivationQuantizer, name: str) -> str:
        if quantizer.floor == 0 and quantizer.ceiling == torch.inf:
            return self.node("Relu", [source], f"{name}.relu")
        if quantizer.floor == 0:
            low = self.constant(f"{name}.floor", np.asarray(quantizer.floor, np.float32))
            high = self.constant(f"{name}.ceiling", np.asarray(quantizer.ceiling, np.float32))
            return self.node("Clip", [source, low, high], f"{name}.clip")
        return source

    @singledispatchmethod
    def emit(self, layer: nn.Module, name: str, *inputs: Value) -> Value:
        """Write one layer and return its output."""
        raise TypeError(f"{name}: no ONNX form for {type(layer).__name__}")

    @emit.register
    def _(self, layer: ActivationQuantizer, name: str, x: Value) -> Value:
        return self.quantize(x.name, layer, name)

    @emit.register
    def _(self, layer: ConvBN, name: str, x: Value) -> Value:
        conv = layer.conv
        pad = int(conv.padding[0])
        missing = -conv.in_channels % PACK if self.quantized and conv.groups == 1 else 0
        if missing:
            x = self._with_zero_channels(x, missing, name)
        inputs = [x.name, *(self._integer_weights if self.quantized else self._float_weights)(layer, name, x)]
        output = self.node(
            "Conv",
            inputs,
            f"{name}.conv",
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[pad] * 4,
            dilations=list(conv.dilation),
            group=conv.groups,
        )
        return self.quantize(output, layer.quantizer, name)

    def _with_zero_channels(self, x: Value, channels: int, name: str) -> Value:
        """``x`` with channels of zeros behind its own."""
        grid = self._grid(f"{name}.pad", x.scale, x.zero_point, x.signed)
        pads = self.constant(f"{name}.pad.pads", np.asarray([0, 0, 0, 0, 0, channels, 0, 0], np.int64))
        stored = self.node("Pad", [x.stored, pads, grid[1]], f"{name}.pad")
        result = self.node("DequantizeLinear", [stored, *grid], f"{name}.pad.dq")
        return replace(x, name=result, stored=stored)

    def _float_weights(self, layer: ConvBN, name: str, x: Value) -> list[str]:
        weight, bias = layer.folded()
        return [
            self.constant(f"{name}.weight", weight.detach().cpu().numpy()),
            self.constant(f"{name}.bias", bias.detach().cpu().numpy()),
        ]

    def _integer_weights(self, layer: ConvBN, name: str, x: Value) -> list[str]:
        integers = layer.integers(layer.conv.weight.new_tensor(x.scale))
        scale = integers.weight_scale.cpu().numpy()
        levels = integers.weight.cpu().numpy()
        if layer.conv.groups == 1:
            levels = np.pad(levels, ((0, 0), (0, -levels.shape[1] % PACK), (0, 0), (0, 0)))
        weight = self._dequantized(f"{name}.weight", levels, scale)
        bias = self._dequantized(f"{name}.bias", integers.bias.cpu().numpy(), scale * np.asarray(x.scale, np.float32))
        return [weight, bias]

    def _dequantized(self, name: str, levels: np.ndarray[Any, Any], scale: np.ndarray[Any, Any]) -> str:
        stored = self.constant(name, levels)
        scales = self.constant(f"{name}.scale", scale)
        zeros = self.constant(f"{name}.zero_point", np.zeros(len(scale), levels.dtype))
        return self.node("DequantizeLinear", [stored, scales, zeros], f"{name}.dq", axis=0)

    @emit.register
    def _(self, layer: HardSwish, name: str, x: Value) -> Value:
        shifted = self.node("Add", [x.name, self._three(layer, name)], f"{name}.shift")
        gate = self.quantize(shifted, layer.gate, f"{name}.gate", gain=1 / 6)
        return self.quantize(self.node("Mul", [x.name, gate.name], f"{name}.mul"), layer.quantizer, name)

    def _three(self, layer: HardSwish, name: str) -> str:
        if not self.quantized:
            return self.constant(f"{name}.three", np.asarray(3.0, np.float32))
        scheme = layer.gate.scheme
        grid = self._grid(f"{name}.three", 3 / 255, scheme.activation_min, scheme.signed_activations)
        kind = np.int8 if scheme.signed_activations else np.uint8
        top = self.constant(f"{name}.three", np.asarray(scheme.activation_max, kind))
        return self.node("DequantizeLinear", [top, *grid], f"{name}.three.dq")

    @emit.register
    def _(self, layer: Concat, name: str, first: Value, second: Value) -> Value:
        joined = self.node("Concat", [first.name, second.name], f"{name}.concat", axis=1)
        return self.quantize(joined, layer.quantizer, name)

    @emit.register
    def _(self, layer: Add, name: str, first: Value, second: Value) -> Value:
        return self.quantize(self.node("Add", [first.name, second.name], f"{name}.add"), layer.quantizer, name)

    @emit.register
    def _(self, layer: Multiply, name: str, x: Value, gate: Value) -> Value:
        return self.quantize(self.node("Mul", [x.name, gate.name], f"{name}.mul"), layer.quantizer, name)

    @emit.register
    def _(self, layer: GlobalAveragePool, name: str, x: Value) -> Value:
        return self.quantize(self.node("GlobalAveragePool", [x.name], f"{name}.pool"), layer.quantizer, name)

    @emit.register
    def _(self, layer: MaxPool, name: str, x: Value) -> Value:
        pooled = self.node(
            "MaxPool",
            [x.name],
            f"{name}.pool",
            kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2,
            pads=[layer.kernel // 2] * 4,
        )
        if not self.quantized:
            return Value(pooled)
        return self._on_grid(pooled, name, x.scale, x.zero_point, x.signed)

    @emit.register
    def _(self, layer: Dropout, name: str, x: Value) -> Value:
        return x

    def model(self, inputs: Infos, outputs: Infos, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The finished, checked model; `tensor` describes its inputs and outputs."""
        graph = helper.make_graph(
            self._read_by(outputs),
            "frostnas",
            list(inputs),
            list(outputs),
            initializer=list(self.initializers.values()),
        )
        model = helper.make_model(
            graph,
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


def emit_layers(graph: Graph, module: nn.Module, inputs: list[Value]) -> Value:
    """Write every layer of ``module`` in the order of its `forward`."""
    values: dict[fx.Node, Value] = {}
    remaining = iter(inputs)
    for node in trace(module).nodes:
        if node.op == "placeholder":
            values[node] = next(remaining)
        elif node.op == "call_module":
            layer = module.get_submodule(str(node.target))
            values[node] = graph.emit(layer, str(node.target), *(values[arg] for arg in node.args))
        elif node.op == "output":
            return values[node.args[0]]
        else:  # attribute access on a QTensor, or the final flatten
            values[node] = values[node.args[0]]
    raise AssertionError("a traced graph ends in its output")


def emit_net(net: Net, metadata: Mapping[str, str], *, quantized: bool) -> onnx.ModelProto:
    """A network in evaluation form: `image` float32 (batch, 3, S, S) -> `logits` float32 (batch, classes).

    With ``quantized`` everything between the first QuantizeLinear and the last DequantizeLinear is integer
    arithmetic once a runtime has fused it; without, the float network with batch norm folded.
    """
    graph = Graph(quantized)
    result = emit_layers(graph, net, [Value("image")])
    graph.node("Flatten", [result.name], "logits", axis=1)
    size, classes = net.spec.image_size, net.spec.head.classes
    return graph.model([tensor("image", ("batch", 3, size, size))], [tensor("logits", ("batch", classes))], metadata)
