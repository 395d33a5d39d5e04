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
from frostnas.nets.count import Shape, output_shape
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
    Window,
)

LOW, HIGH = -128, 127
Grids = Add | Concat | ConvBN | GlobalAveragePool | HardSwish | Multiply


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
    """What goes from layer to layer: int8 levels (N, *shape)."""

    grid: IntegerGrid
    shape: Shape


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

    def __init__(self, window: Window, integers: IntegerConv, given: Flow) -> None:
        super().__init__()
        weight, scale, input_scale = integers.weight, integers.weight_scale, given.grid.scale
        before, after = window.pads(given.shape.side)
        # Not every backend takes a padding that differs between the ends. Zeros before the kernel do the same.
        weight = F.pad(weight, (after - before, 0, after - before, 0))
        self.stride, self.padding, self.dilation = window.stride, after, window.dilation
        self.groups = given.shape.channels // weight.shape[1]
        self.weights: nn.Module = IntegerWeights(weight, scale)
        # The backend rounds a float bias to int32 steps of weight scale times input scale: on them it lies already.
        self.register_buffer("bias", (integers.bias.double() * scale.double() * input_scale).float())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weights(), self.bias, self.stride, self.padding, self.dilation, self.groups)


def affine(given: Flow, factor: float, offset: float) -> IntegerConvolution:
    """factor * x + offset as a depthwise convolution of integers: float32 -> float32."""
    channels = given.shape.channels
    weight = torch.full((channels, 1, 1, 1), HIGH, dtype=torch.int8)
    scale = torch.full((channels,), factor / HIGH)
    bias = torch.round(offset / (scale.double() * given.grid.scale)).to(torch.int32)
    return IntegerConvolution(Window(1), IntegerConv(weight, scale, bias), given)


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


def gives(layer: Grids, *inputs: Flow) -> Flow:
    """The flow out of a layer that has a quantizer."""
    return Flow(signed_grid(layer.quantizer), output_shape(layer, *(one.shape for one in inputs)))


@singledispatch
def form(layer: Layer, *inputs: Flow) -> Form:
    """A layer for given inputs."""
    raise TypeError(f"no Q/DQ form for {type(layer).__name__}")


@form.register
def _(layer: ActivationQuantizer, *inputs: Flow) -> Form:
    return _Input(nn.Identity(), inputs, Flow(signed_grid(layer), inputs[0].shape))


@form.register
def _(layer: ConvBN, *inputs: Flow) -> Form:
    scale = inputs[0].grid.scale
    integers = layer.integers(layer.conv.weight.new_tensor(scale))
    return Form(IntegerConvolution(layer.window, integers, inputs[0]), inputs, gives(layer, *inputs))


@form.register
def _(layer: HardSwish, *inputs: Flow) -> Form:
    return Form(_HardSwish(layer, inputs[0]), inputs, gives(layer, *inputs))


@form.register
def _(layer: Concat, *inputs: Flow) -> Form:
    grid = signed_grid(layer.quantizer)

    def join(*values: Tensor) -> Tensor:
        """Of inputs brought to one grid first: the kernels only copy."""
        return torch.cat([read_from(round_to(value, grid), grid) for value in values], dim=1)

    return Form(join, inputs, gives(layer, *inputs))


@form.register
def _(layer: Add, *inputs: Flow) -> Form:
    return Form(torch.add, inputs, gives(layer, *inputs))


@form.register
def _(layer: Multiply, *inputs: Flow) -> Form:
    return Form(torch.mul, inputs, gives(layer, *inputs))


@form.register
def _(layer: GlobalAveragePool, *inputs: Flow) -> Form:
    return Form(lambda x: x.mean((2, 3), keepdim=True), inputs, gives(layer, *inputs))


@form.register
def _(layer: MaxPool, *inputs: Flow) -> Form:
    window = layer.window

    def pool(x: Tensor) -> Tensor:
        padded, padding = window.padded(x, -torch.inf)
        return F.max_pool2d(padded, window.kernel, window.stride, padding)

    return Form(pool, inputs, Flow(inputs[0].grid, output_shape(layer, inputs[0].shape)))


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

        image = Flow(IntegerGrid(signed=True), Shape(3, net.spec.image_size))  # it has no levels yet
        self.last = walk(self.trace, [image], add)

    def forward(self, image: Tensor) -> Tensor:
        forms = iter(self.forms)
        levels = walk(self.trace, [image], lambda call, *values: next(forms)(*values))
        return read_from(levels, self.last.grid).flatten(1)
