"""A fake-quantized network as an ONNX graph, written layer by layer.

A block's wiring is written once, in its `forward`, and `nets.trace` reads it. A layer has one function here, which
serves the INT8 and the FP32 file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch

import numpy as np
import onnx
from torch import nn

from frostnas.deploy.onnx.graph import Graph, IntegerGrid, Value, tensor
from frostnas.nets.count import Shape, shapes_of
from frostnas.nets.net import Net
from frostnas.nets.trace import Call, trace, walk
from frostnas.quant import (
    ActivationQuantizer,
    Add,
    Concat,
    ConvBN,
    Dropout,
    GlobalAveragePool,
    HardSwish,
    Layer,
    MaxPool,
    Multiply,
    Window,
)

PACK = 4
"""Integer kernels take products in fours: with 3 input channels a stem takes twice as long as with 4."""


@singledispatch
def emit(layer: Layer, graph: Graph, name: str, *inputs: Value) -> Value:
    """Write one layer and return its output."""
    raise TypeError(f"{name}: no ONNX form for {type(layer).__name__}")


@emit.register
def _(layer: ActivationQuantizer, graph: Graph, name: str, x: Value) -> Value:
    return graph.quantize(x.name, layer, name)


@emit.register
def _(layer: ConvBN, graph: Graph, name: str, x: Value) -> Value:
    conv = layer.conv
    inputs = (_integer_convolution if graph.quantized else _float_convolution)(layer, graph, name, x)
    output = graph.node(
        "Conv",
        inputs,
        f"{name}.conv",
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=_pads(layer.window, x),
        dilations=list(conv.dilation),
        group=conv.groups,
    )
    return graph.quantize(output, layer.quantizer, name)


def _pads(window: Window, x: Value) -> list[int]:
    """Before rows and columns, then behind them."""
    before, after = window.pads(x.side)
    return [before, before, after, after]


def _float_convolution(layer: ConvBN, graph: Graph, name: str, x: Value) -> list[str]:
    """Input, weight and bias of a convolution."""
    weight, bias = (folded.detach().cpu().numpy() for folded in layer.folded())
    return [x.name, graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)]


def _integer_convolution(layer: ConvBN, graph: Graph, name: str, x: Value) -> list[str]:
    """Input, weight and bias of a convolution, all with integers behind them."""
    integers = layer.integers(layer.conv.weight.new_tensor(x.grid.scale))
    levels, scale = integers.weight.cpu().numpy(), integers.weight_scale.cpu().numpy()
    missing = -levels.shape[1] % PACK if layer.conv.groups == 1 else 0
    if missing:
        x = _with_zero_channels(x, graph, missing, name)
        levels = np.pad(levels, ((0, 0), (0, missing), (0, 0), (0, 0)))
    weight = graph.per_channel(f"{name}.weight", levels, scale)
    # The runtime takes the bias as it is: its scale must be the product of the other two.
    steps = scale * np.asarray(x.grid.scale, np.float32)
    return [x.name, weight, graph.per_channel(f"{name}.bias", integers.bias.cpu().numpy(), steps)]


def _with_zero_channels(x: Value, graph: Graph, channels: int, name: str) -> Value:
    """``x`` with channels of zeros behind its own."""
    pads = graph.constant(f"{name}.pads", np.asarray([0, 0, 0, 0, 0, channels, 0, 0], np.int64))
    _, zero_point = graph.levels(x.grid, f"{name}.padded")
    stored = graph.node("Pad", [x.stored, pads, zero_point], f"{name}.pad")
    return graph.read(stored, x.grid, f"{name}.padded")


@emit.register
def _(layer: HardSwish, graph: Graph, name: str, x: Value) -> Value:
    shifted = graph.node("Add", [x.name, _three(layer, graph, f"{name}.three")], f"{name}.shift")
    gate = graph.quantize(shifted, layer.gate, f"{name}.gate", gain=1 / 6)
    return graph.quantize(graph.node("Mul", [x.name, gate.name], f"{name}.mul"), layer.quantizer, name)


def _three(layer: HardSwish, graph: Graph, name: str) -> str:
    """The number 3, in an integer graph as the top level of a grid from 0 to 3."""
    if not graph.quantized:
        return graph.number(name, 3.0)
    scheme = layer.gate.scheme
    kind = np.int8 if scheme.signed_activations else np.uint8
    top = graph.constant(name, np.asarray(scheme.activation_max, kind))
    return graph.read(top, IntegerGrid(3 / 255, scheme.activation_min, scheme.signed_activations), name).name


@emit.register
def _(layer: Concat, graph: Graph, name: str, first: Value, second: Value) -> Value:
    joined = graph.node("Concat", [first.name, second.name], f"{name}.concat", axis=1)
    return graph.quantize(joined, layer.quantizer, name)


@emit.register
def _(layer: Add, graph: Graph, name: str, first: Value, second: Value) -> Value:
    return graph.quantize(graph.node("Add", [first.name, second.name], f"{name}.add"), layer.quantizer, name)


@emit.register
def _(layer: Multiply, graph: Graph, name: str, x: Value, gate: Value) -> Value:
    return graph.quantize(graph.node("Mul", [x.name, gate.name], f"{name}.mul"), layer.quantizer, name)


@emit.register
def _(layer: GlobalAveragePool, graph: Graph, name: str, x: Value) -> Value:
    return graph.quantize(graph.node("GlobalAveragePool", [x.name], f"{name}.pool"), layer.quantizer, name)


@emit.register
def _(layer: MaxPool, graph: Graph, name: str, x: Value) -> Value:
    pooled = graph.node(
        "MaxPool",
        [x.name],
        f"{name}.pool",
        kernel_shape=[layer.window.kernel] * 2,
        strides=[layer.window.stride] * 2,
        pads=_pads(layer.window, x),
    )
    return graph.round_to(pooled, x.grid, name) if graph.quantized else Value(pooled)


@emit.register
def _(layer: Dropout, graph: Graph, name: str, x: Value) -> Value:
    return x


def emit_layers(graph: Graph, module: nn.Module, start: Value, shape: Shape) -> Value:
    """Write every layer of ``module`` in the order of its `forward`.

    Args:
        start: what the module takes.
        shape: of ``start``.
    """
    traced = trace(module)
    start_side, *sides = (one.side for one in shapes_of(traced, shape))
    remaining = iter(sides)

    def visit(call: Call, *values: Value) -> Value:
        return replace(emit(call.layer, graph, call.name, *values), side=next(remaining))

    return walk(traced, [replace(start, side=start_side)], visit)


def emit_net(net: Net, metadata: Mapping[str, str], *, quantized: bool) -> onnx.ModelProto:
    """A network in evaluation form: `image` float32 (batch, 3, S, S) -> `logits` float32 (batch, classes).

    With ``quantized`` everything between the first QuantizeLinear and the last DequantizeLinear is integer
    arithmetic once a runtime has fused it; without, the float network with batch norm folded.
    """
    graph = Graph(quantized)
    size, classes = net.spec.image_size, net.spec.head.classes
    result = emit_layers(graph, net, Value("image"), Shape(3, size))
    graph.node("Flatten", [result.name], "logits", axis=1)
    return graph.model([tensor("image", ("batch", 3, size, size))], [tensor("logits", ("batch", classes))], metadata)
