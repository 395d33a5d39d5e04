"""A fake-quantized network in torch's Q/DQ form: integers between layers, which a lowering turns into integer kernels.

The operators are those of torch's `quantized_decomposed` library, which a backend registers when it is imported.
Activations are int8: uint8 levels move down by 128 together with their zero point, which changes no result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.deploy.onnx.graph import IntegerGrid
from frostnas.nets import Net
from frostnas.nets.trace import Call, trace, walk
from frostnas.quant import (
    ActivationQuantizer,
    Add,
    Concat,
    ConvBN,
    Dropout,
    GlobalAveragePool,
    HardSwish,
    IntegerConv,
    Layer,
    MaxPool,
    Multiply,
)

LOW, HIGH = -128, 127


def signed_grid(quantizer: ActivationQuantizer) -> IntegerGrid:
    """The quantizer's grid with int8 levels."""
    grid = IntegerGrid.of(quantizer)
    return grid if grid.signed else replace(grid, zero_point=grid.zero_point + LOW, signed=True)


def round_to(x: Tensor, grid: IntegerGrid) -> Tensor:
    """float32 -> int8 levels of ``grid``."""
    quantize = torch.ops.quantized_decomposed.quantize_per_tensor
    return quantize(x, grid.scale, grid.zero_point, LOW, HIGH, torch.int8)  # type: ignore[no-any-return]


def read_from(x: Tensor, grid: IntegerGrid) -> Tensor:
    """int8 levels of ``grid`` -> float32."""
    dequantize = torch.ops.quantized_decomposed.dequantize_per_tensor
    return dequantize(x, grid.scale, grid.zero_point, LOW, HIGH, torch.int8)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes from layer to layer: int8 levels (N, channels, H, W)."""

    grid: IntegerGrid
    channels: int


IMAGE = Flow(IntegerGrid(signed=True), 3)
"""The network's input, which has no levels yet."""


class Form(nn.Module):
    """One layer: levels as ``inputs`` describe them -> levels as ``output`` does."""

    def __init__(self, operation: Callable[..., Tensor], inputs: tuple[Flow, ...], output: Flow) -> None:
        super().__init__()
        self.operation, self.inputs, self.output = operation, inputs, output

    def forward(self, *levels: Tensor) -> Tensor:
        values = [read_from(one, given.grid) for one, given in zip(levels, self.inputs, strict=True)]
        return round_to(self.operation(*values), self.output.grid)


class _Input(Form):
    """The image float32 (N, 3, H, W) -> its levels."""

    def forward(self, *levels: Tensor) -> Tensor:
        return round_to(levels[0], self.output.grid)


class _Same(Form):
    """What does nothing in evaluation."""

    def forward(self, *levels: Tensor) -> Tensor:
        return levels[0]


class IntegerWeights(nn.Module):
    """int8 weights (C_out, C_in / groups, k, k) as constants -> float32."""

    levels: Tensor
    scale: Tensor
    zero: Tensor

    def __init__(self, levels: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("levels", levels.contiguous())  # ExecuTorch refuses channels_last
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros_like(scale, dtype=torch.int64))

    def forward(self) -> Tensor:
        dequantize = torch.ops.quantized_decomposed.dequantize_per_channel
        return dequantize(self.levels, self.scale, self.zero, 0, -HIGH, HIGH, torch.int8)  # type: ignore[no-any-return]


class IntegerConvolution(nn.Module):
    """A convolution with int8 weights (C_out, C_in / groups, k, k): float32 -> float32."""

    bias: Tensor

    def __init__(self, conv: nn.Conv2d, integers: IntegerConv, input_scale: float) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation, self.groups = conv.stride, conv.padding, conv.dilation, conv.groups
        scale = integers.weight_scale
        self.weights: nn.Module = IntegerWeights(integers.weight, scale)
        # The backend rounds a float bias to int32 steps of weight scale times input scale: on them it lies already.
        self.register_buffer("bias", (integers.bias.double() * scale.double() * input_scale).float())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weights(), self.bias, self.stride, self.padding, self.dilation, self.groups)


def affine(given: Flow, factor: float, offset: float) -> IntegerConvolution:
    """factor * x + offset as a depthwise convolution of integers: float32 -> float32."""
    channels = given.channels
    weight = torch.full((channels, 1, 1, 1), HIGH, dtype=torch.int8)
    scale = torch.full((channels,), factor / HIGH)
    bias = torch.round(offset / (scale.double() * given.grid.scale)).to(torch.int32)
    conv = nn.Conv2d(channels, channels, 1, groups=channels)
    return IntegerConvolution(conv, IntegerConv(weight, scale, bias), given.grid.scale)


class _HardSwish(nn.Module):
    """x times relu6(x + 3) / 6 of integers: float32 -> float32.

    The gate is x / 6 + 1/2, clipped to 0..1 by its grid: XNNPACK cannot read levels with another scale than they were
    written with, as the ONNX file does.
    """

    def __init__(self, layer: HardSwish, given: Flow) -> None:
        super().__init__()
        gate = signed_grid(layer.gate)
        self.grid = replace(gate, scale=gate.scale / 6)
        self.gate = affine(given, 1 / 6, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x * read_from(round_to(self.gate(x), self.grid), self.grid)


@singledispatch
def form(layer: Layer, *inputs: Flow) -> Form:
    """A layer for given inputs."""
    raise TypeError(f"no Q/DQ form for {type(layer).__name__}")


@form.register
def _(layer: ActivationQuantizer, *inputs: Flow) -> Form:
    return _Input(nn.Identity(), inputs, Flow(signed_grid(layer), 3))


@form.register
def _(layer: ConvBN, *inputs: Flow) -> Form:
    scale = inputs[0].grid.scale
    operation = IntegerConvolution(layer.conv, layer.integers(layer.conv.weight.new_tensor(scale)), scale)
    return Form(operation, inputs, Flow(signed_grid(layer.quantizer), layer.conv.out_channels))


@form.register
def _(layer: HardSwish, *inputs: Flow) -> Form:
    return Form(_HardSwish(layer, inputs[0]), inputs, Flow(signed_grid(layer.quantizer), inputs[0].channels))


@form.register
def _(layer: Concat, *inputs: Flow) -> Form:
    grid = signed_grid(layer.quantizer)

    def join(*values: Tensor) -> Tensor:
        """Of inputs brought to one grid first: the kernels only copy."""
        return torch.cat([read_from(round_to(value, grid), grid) for value in values], dim=1)

    return Form(join, inputs, Flow(grid, sum(one.channels for one in inputs)))


@form.register
def _(layer: Add, *inputs: Flow) -> Form:
    return Form(torch.add, inputs, Flow(signed_grid(layer.quantizer), inputs[0].channels))


@form.register
def _(layer: Multiply, *inputs: Flow) -> Form:
    return Form(torch.mul, inputs, Flow(signed_grid(layer.quantizer), inputs[0].channels))


@form.register
def _(layer: GlobalAveragePool, *inputs: Flow) -> Form:
    output = Flow(signed_grid(layer.quantizer), inputs[0].channels)
    return Form(lambda x: x.mean((2, 3), keepdim=True), inputs, output)


@form.register
def _(layer: MaxPool, *inputs: Flow) -> Form:
    return Form(lambda x: F.max_pool2d(x, layer.kernel, layer.stride, layer.kernel // 2), inputs, inputs[0])


@form.register
def _(layer: Dropout, *inputs: Flow) -> Form:
    return _Same(nn.Identity(), inputs, inputs[0])


class Decomposed(nn.Module):
    """Image float32 (N, 3, S, S), normalised -> logits float32 (N, classes), as the network in `FROZEN` gives them.

    Args:
        form: the Q/DQ form of one layer, for a backend that cannot take one of those of this module.
    """

    def __init__(self, net: Net, form: Callable[..., Form] = form) -> None:
        super().__init__()
        self.trace = trace(net)
        self.forms = nn.ModuleList()

        def add(call: Call, *inputs: Flow) -> Flow:
            made = form(call.layer, *inputs)
            self.forms.append(made)
            return made.output

        self.last = walk(self.trace, [IMAGE], add)

    def forward(self, image: Tensor) -> Tensor:
        forms = iter(self.forms)
        levels = walk(self.trace, [image], lambda call, *values: next(forms)(*values))
        return read_from(levels, self.last.grid).flatten(1)
