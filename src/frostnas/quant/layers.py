"""Quantization-aware layers: convolution with batch norm, and everything else an INT8 network is made of.

Each takes and gives `QTensor`s and owns the quantizer of its output. They are all the layers that there are: every
reader of a network has a function for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.quant.depthwise import depthwise_conv
from frostnas.quant.fake_quant import (
    ActivationQuantizer,
    QTensor,
    QuantState,
    Scheme,
    fake_quantize_weight,
    weight_scale,
)
from frostnas.quant.layer import Layer
from frostnas.quant.window import Window

BIAS_LIMIT = 2.0**30  # room for the accumulated products below int32's end


@dataclass(frozen=True, slots=True)
class IntegerConv:
    """A folded convolution in integers.

    weight: int8 (C_out, C_in / groups, k, k). weight_scale: float32 (C_out,). bias: int32 (C_out,), in steps of
    weight_scale times the input scale, without the layer's `shift`.
    """

    weight: Tensor
    weight_scale: Tensor
    bias: Tensor


class ConvBN(Layer):
    """Convolution, batch norm (or a bias), optional ReLU or ReLU6, and the quantizer of the result.

    Folding batch norm multiplies each output channel of the weight by a factor, and a symmetric scale per output
    channel is multiplied by the same factor, so the folded weight has the integers of the plain one. Training
    therefore rounds the plain weight and runs batch norm as usual; evaluation folds, and rounds the bias to int32
    steps as well, which is the exported arithmetic.

    Buffer: `shift`, float32 (C_out,): what rounding adds to the mean of a channel's result, which the integers' bias
    takes off. Calibration finds it; training, which learns to do without, forgets it.
    """

    shift: Tensor
    BOUNDS = {  # noqa: RUF012
        "none": (-torch.inf, torch.inf),
        "relu": (0.0, torch.inf),
        "relu6": (0.0, 6.0),
        "hard_sigmoid": (0.0, 1.0),
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        scheme: Scheme,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        activation: str = "none",
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.window = Window(kernel, stride, dilation)
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=not batch_norm)
        self.depthwise = 1 < groups == in_channels == out_channels
        self.bn = nn.BatchNorm2d(out_channels) if batch_norm else None
        floor, ceiling = self.BOUNDS[activation]
        self.gain, self.offset = (1 / 6, 0.5) if activation == "hard_sigmoid" else (1.0, 0.0)
        self.quantizer = ActivationQuantizer(scheme, floor, ceiling, fixed=activation == "hard_sigmoid")
        self.register_buffer("shift", torch.zeros(out_channels))
        if self.conv.bias is None:
            nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        else:
            # No batch norm sets the output's size. By fan-out a classifier of 10 classes would start with logits ten
            # times those of 1000 classes, and the first steps would throw the weights far off.
            nn.init.kaiming_normal_(self.conv.weight, mode="fan_in", nonlinearity="linear")
            nn.init.zeros_(self.conv.bias)

    def train(self, mode: bool = True) -> ConvBN:
        super().train(mode)
        if self.bn is not None and self.quantizer.state is QuantState.FROZEN:
            self.bn.eval()
        return self

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (C_out, C_in / groups, k, k) and bias (C_out,) with batch norm and the gain folded in."""
        if self.bn is None:
            assert self.conv.bias is not None
            return self.conv.weight * self.gain, self.conv.bias * self.gain + self.offset
        bn = self.bn
        assert bn.running_mean is not None and bn.running_var is not None
        factor = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        bias = bn.bias - bn.running_mean * factor
        return self.conv.weight * (factor * self.gain).view(-1, 1, 1, 1), bias * self.gain + self.offset

    @torch.no_grad()
    def integers(self, input_scale: Tensor) -> IntegerConv:
        """The layer as it is exported, for an input on a grid of ``input_scale``.

        A channel whose weights are too small for its bias to fit into int32 gets a coarser weight scale.
        """
        weight, bias = self.folded()
        bias = bias - self.shift
        scheme = self.quantizer.scheme
        scale = weight_scale(weight, scheme).flatten()
        scale = torch.maximum(scale, bias.abs() / (input_scale * BIAS_LIMIT))
        levels = torch.round(weight / scale.view(-1, 1, 1, 1)).clamp(-scheme.weight_max, scheme.weight_max)
        steps = torch.round(bias.double() / (scale.double() * input_scale.double()))
        return IntegerConv(levels.to(torch.int8), scale, steps.to(torch.int32))

    def forward(self, x: QTensor) -> QTensor:
        state = self.quantizer.state
        if not self.training and state.quantizes:
            return self.quantizer(self._as_exported(x))  # type: ignore[no-any-return]
        if self.training:
            self.shift.zero_()
        weight = self.conv.weight
        if state.quantizes:
            weight = fake_quantize_weight(weight, self.quantizer.scheme)
        y = self._convolve(x.value, weight, self.conv.bias)
        if self.bn is not None:
            y = self.bn(y)
        if self.gain != 1:
            y = y * self.gain + self.offset
        return self.quantizer(y)  # type: ignore[no-any-return]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Weights that were written before there was a shift have none."""
        state_dict.setdefault(f"{prefix}shift", torch.zeros_like(self.shift))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @torch.no_grad()
    def moved(self, x: QTensor) -> Tensor:
        """By how much the integers' mean result for ``x`` is off that of the unrounded layer: float32 (C_out,)."""
        return (self._as_exported(x) - self._convolve(x.value, *self.folded())).mean((0, 2, 3))

    def _as_exported(self, x: QTensor) -> Tensor:
        layer = self.integers(x.scale)
        weight = layer.weight.float() * layer.weight_scale.view(-1, 1, 1, 1)
        bias = (layer.bias.double() * layer.weight_scale.double() * x.scale.double()).float()
        return self._convolve(x.value, weight, bias)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = self.window.padded(x)
        if bias is None and self.depthwise and padding == self.conv.padding:
            return depthwise_conv(x, weight, self.window.stride, self.window.dilation)
        return F.conv2d(x, weight, bias, self.conv.stride, padding, self.conv.dilation, self.conv.groups)


class HardSwish(Layer):
    """x * relu6(x + 3) / 6 as an integer addition of a constant and an integer multiplication.

    The gate relu6(x + 3) has the known range [0, 6]; the division is a part of its scale.
    """

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.gate = ActivationQuantizer(scheme, 0.0, 6.0, fixed=True)
        self.quantizer = ActivationQuantizer(scheme)

    def forward(self, x: QTensor) -> QTensor:
        gate = self.gate(x.value + 3.0).value / 6.0
        return self.quantizer(x.value * gate)  # type: ignore[no-any-return]


class Concat(Layer):
    """Channel concatenation of two tensors on one new grid."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.quantizer = ActivationQuantizer(scheme)

    def forward(self, first: QTensor, second: QTensor) -> QTensor:
        return self.quantizer(torch.cat([first.value, second.value], dim=1))  # type: ignore[no-any-return]


class Add(Layer):
    """Elementwise sum of two tensors of one shape.

    Attributes:
        drop: share of the images whose ``second`` is left out while training in floating point, the others' scaled up
            to the same mean (stochastic depth). Rounded sums, evaluation and the exported network know nothing of it.
    """

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.quantizer = ActivationQuantizer(scheme)
        self.drop = 0.0

    def forward(self, first: QTensor, second: QTensor) -> QTensor:
        added = second.value
        if self.drop and self.training and not self.quantizer.state.quantizes:
            kept = torch.rand(len(added), 1, 1, 1, device=added.device) >= self.drop
            added = added * (kept / (1 - self.drop)).to(added.dtype)
        return self.quantizer(first.value + added)  # type: ignore[no-any-return]


class Multiply(Layer):
    """Product of a tensor (N, C, H, W) and a gate (N, C, 1, 1)."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.quantizer = ActivationQuantizer(scheme)

    def forward(self, x: QTensor, gate: QTensor) -> QTensor:
        return self.quantizer(x.value * gate.value)  # type: ignore[no-any-return]


class MaxPool(Layer):
    """Window maximum; it stays on its input's grid."""

    def __init__(self, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.window = Window(kernel, stride)

    def forward(self, x: QTensor) -> QTensor:
        value, padding = self.window.padded(x.value, -torch.inf)
        return QTensor(F.max_pool2d(value, self.window.kernel, self.window.stride, padding), x.scale)


class GlobalAveragePool(Layer):
    """(N, C, H, W) -> (N, C, 1, 1)."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.quantizer = ActivationQuantizer(scheme)

    def forward(self, x: QTensor) -> QTensor:
        return self.quantizer(x.value.mean((2, 3), keepdim=True))  # type: ignore[no-any-return]


class Dropout(Layer):
    """Dropout in training; nothing in evaluation and in the exported network."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: QTensor) -> QTensor:
        return QTensor(F.dropout(x.value, self.probability, self.training), x.scale)
