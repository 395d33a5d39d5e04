"""A fake-quantized network in torch's Q/DQ form: integers between layers, which a lowering turns into integer kernels.

The operators are those of torch's `quantized_decomposed` library, which ExecuTorch registers when it is imported.
Activations are int8: uint8 levels move down by 128 together with their zero point, which changes no result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from frostnas.deploy.graph import Grid
from frostnas.nets import Net
from frostnas.nets.trace import trace
from frostnas.quant import (
    ActivationQuantizer,
    Add,
    Concat,
    ConvBN,
    Dropout,
    GlobalAveragePool,
    HardSwish,
    IntegerConv,
    MaxPool,
    Multiply,
)

LOW, HIGH = -128, 127


def _signed(quantizer: ActivationQuantizer) -> Grid:
    grid = Grid.of(quantizer)
    return grid if grid.signed else replace(grid, zero_point=grid.zero_point + LOW, signed=True)


def _round(x: Tensor, grid: Grid) -> Tensor:
    """float32 -> int8 levels of ``grid``."""
    quantize = torch.ops.quantized_decomposed.quantize_per_tensor
    return quantize(x, grid.scale, grid.zero_point, LOW, HIGH, torch.int8)  # type: ignore[no-any-return]


def _read(x: Tensor, grid: Grid) -> Tensor:
    """int8 levels of ``grid`` -> float32."""
    dequantize = torch.ops.quantized_decomposed.dequantize_per_tensor
    return dequantize(x, grid.scale, grid.zero_point, LOW, HIGH, torch.int8)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes from layer to layer: int8 levels (N, channels, H, W)."""

    grid: Grid
    channels: int


class Form(nn.Module):
    """One layer: levels as ``inputs`` describe them -> levels as ``output`` does."""

    def __init__(self, operation: Callable[..., Tensor], inputs: tuple[Flow, ...], output: Flow) -> None:
        super().__init__()
        self.operation, self.inputs, self.output = operation, inputs, output

    def forward(self, *levels: Tensor) -> Tensor:
        values = [_read(one, given.grid) for one, given in zip(levels, self.inputs, strict=True)]
        return _round(self.operation(*values), self.output.grid)


class _Input(Form):
    """The image float32 (N, 3, H, W) -> its levels."""

    def forward(self, *levels: Tensor) -> Tensor:
        return _round(levels[0], self.output.grid)


class _Same(Form):
    """What does nothing in evaluation."""

    def forward(self, *levels: Tensor) -> Tensor:
        return levels[0]


class _IntegerConvolution(nn.Module):
    """A convolution with int8 weights (C_out, C_in / groups, k, k): float32 -> float32."""

    weight: Tensor
    scale: Tensor
    zero: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, integers: IntegerConv, input_scale: float) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, conv.groups
        self.register_buffer("weight", integers.weight.contiguous())  # ExecuTorch refuses channels_last
        self.register_buffer("scale", integers.weight_scale)
        self.register_buffer("zero", torch.zeros_like(integers.weight_scale, dtype=torch.int64))
        # The backend rounds a float bias to int32 steps of weight scale times input scale: on them it lies already.
        self.register_buffer("bias", (integers.bias.double() * self.scale.double() * input_scale).float())

    def forward(self, x: Tensor) -> Tensor:
        dequantize = torch.ops.quantized_decomposed.dequantize_per_channel
        weight = dequantize(self.weight, self.scale, self.zero, 0, -HIGH, HIGH, torch.int8)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class _HardSwish(nn.Module):
    """x times relu6(x + 3) / 6 of integers: float32 -> float32.

    The gate is a depthwise convolution, x / 6 + 1/2, clipped to 0..1 by its grid: XNNPACK cannot read levels with
    another scale than they were written with, as the ONNX file does.
    """

    def __init__(self, layer: HardSwish, given: Flow) -> None:
        super().__init__()
        gate = _signed(layer.gate)
        self.grid = replace(gate, scale=gate.scale / 6)
        weight = torch.full((given.channels, 1, 1, 1), HIGH, dtype=torch.int8)
        scale = torch.full((given.channels,), 1 / 6 / HIGH)
        bias = torch.round(0.5 / (scale.double() * given.grid.scale)).to(torch.int32)
        conv = nn.Conv2d(given.channels, given.channels, 1, groups=given.channels)
        self.gate = _IntegerConvolution(conv, IntegerConv(weight, scale, bias), given.grid.scale)

    def forward(self, x: Tensor) -> Tensor:
        return x * _read(_round(self.gate(x), self.grid), self.grid)


@singledispatch
def form(layer: nn.Module, *inputs: Flow) -> Form:
    """A layer for given inputs; the image is none."""
    raise TypeError(f"no Q/DQ form for {type(layer).__name__}")


@form.register
def _(layer: ActivationQuantizer, *inputs: Flow) -> Form:
    return _Input(nn.Identity(), inputs, Flow(_signed(layer), 3))


@form.register
def _(layer: ConvBN, *inputs: Flow) -> Form:
    scale = inputs[0].grid.scale
    operation = _IntegerConvolution(layer.conv, layer.integers(layer.conv.weight.new_tensor(scale)), scale)
    return Form(operation, inputs, Flow(_signed(layer.quantizer), layer.conv.out_channels))


@form.register
def _(layer: HardSwish, *inputs: Flow) -> Form:
    return Form(_HardSwish(layer, inputs[0]), inputs, Flow(_signed(layer.quantizer), inputs[0].channels))


@form.register
def _(layer: Concat, *inputs: Flow) -> Form:
    grid = _signed(layer.quantizer)

    def join(*values: Tensor) -> Tensor:
        """Of inputs brought to one grid first: the kernels only copy."""
        return torch.cat([_read(_round(value, grid), grid) for value in values], dim=1)

    return Form(join, inputs, Flow(grid, sum(one.channels for one in inputs)))


@form.register
def _(layer: Add, *inputs: Flow) -> Form:
    return Form(torch.add, inputs, Flow(_signed(layer.quantizer), inputs[0].channels))


@form.register
def _(layer: Multiply, *inputs: Flow) -> Form:
    return Form(torch.mul, inputs, Flow(_signed(layer.quantizer), inputs[0].channels))


@form.register
def _(layer: GlobalAveragePool, *inputs: Flow) -> Form:
    output = Flow(_signed(layer.quantizer), inputs[0].channels)
    return Form(lambda x: x.mean((2, 3), keepdim=True), inputs, output)


@form.register
def _(layer: MaxPool, *inputs: Flow) -> Form:
    return Form(lambda x: F.max_pool2d(x, layer.kernel, layer.stride, layer.kernel // 2), inputs, inputs[0])


@form.register
def _(layer: Dropout, *inputs: Flow) -> Form:
    return _Same(nn.Identity(), inputs, inputs[0])


class Decomposed(nn.Module):
    """Image float32 (N, 3, S, S), normalised -> logits float32 (N, classes), as the network in `FROZEN` gives them."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.graph = trace(net)
        self.forms = nn.ModuleList()
        flows: dict[fx.Node, Flow] = {}
        for node in self.graph.nodes:
            if node.op == "call_module":
                inputs = [flows[arg] for arg in node.args if arg in flows]
                layer = form(net.get_submodule(str(node.target)), *inputs)
                self.forms.append(layer)
                flows[node] = self.last = layer.output
            elif node.op not in ("placeholder", "output"):
                flows[node] = flows[node.args[0]]

    def forward(self, image: Tensor) -> Tensor:
        values: dict[fx.Node, Tensor] = {}
        forms = iter(self.forms)
        result = image
        for node in self.graph.nodes:
            if node.op == "placeholder":
                result = image
            elif node.op == "call_module":
                result = next(forms)(*(values[arg] for arg in node.args))
            else:  # attribute access on a QTensor, the final flatten, the output
                result = values[node.args[0]]
            values[node] = result
        return _read(result, self.last.grid).flatten(1)
