"""Candidate operations of the block's slots, by name.

A new candidate is one entry here, made of the layers in `quant`: that gives its FP32, QAT and ONNX forms at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from torch import nn

from frostnas.artifacts import Convention, divisible
from frostnas.errors import InputError
from frostnas.quant import ConvBN, GlobalAveragePool, HardSwish, MaxPool, Multiply, QTensor, Scheme

ACTIVATIONS = ("relu", "relu6", "hard_swish")
FUSED = {"none": "none", "relu": "relu", "relu6": "relu6", "hard_swish": "none"}
"""Which bounds the convolution's own quantizer applies, per activation."""
Choice = TypeVar("Choice")


def choose(choices: Mapping[str, Choice], slot: str, name: str) -> Choice:
    """What is registered as ``name`` for a slot of the block.

    Raises:
        InputError: nothing is.
    """
    if name not in choices:
        raise InputError(f"{slot}: {name}; expected one of {', '.join(choices)}")
    return choices[name]


def conv_act(
    in_channels: int,
    out_channels: int,
    activation: str,
    scheme: Scheme,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    batch_norm: bool = True,
) -> nn.Module:
    """Convolution, batch norm and any activation; ReLUs are a part of the convolution's quantizer.

    Raises:
        InputError: there is no such activation.
    """
    fused = choose(FUSED, "activation", activation)
    conv = ConvBN(
        in_channels,
        out_channels,
        kernel,
        scheme=scheme,
        stride=stride,
        groups=groups,
        dilation=dilation,
        activation=fused,
        batch_norm=batch_norm,
    )
    return nn.Sequential(conv, HardSwish(scheme)) if activation == "hard_swish" else conv


Made = TypeVar("Made", bound=nn.Module)


def under(module: Made, convention: Convention) -> Made:
    """``module`` with all its convolutions, pools and batch norms under ``convention``."""
    for part in module.modules():
        if isinstance(part, ConvBN | MaxPool):
            part.window = replace(part.window, padding=convention.padding)
        if isinstance(part, nn.BatchNorm2d):
            part.eps = convention.epsilon
    return module


Spatial = Callable[[int, int, str, Scheme], nn.Module]
"""(channels, stride, activation, scheme) -> module on (N, channels, H, W)."""


def _depthwise(kernel: int, dilation: int = 1) -> Spatial:
    def build(channels: int, stride: int, activation: str, scheme: Scheme) -> nn.Module:
        return conv_act(
            channels, channels, activation, scheme, kernel, stride=stride, groups=channels, dilation=dilation
        )

    return build


def _max_pool(kernel: int) -> Spatial:
    def build(channels: int, stride: int, activation: str, scheme: Scheme) -> nn.Module:
        return MaxPool(kernel, stride)

    return build


SPATIAL: dict[str, Spatial] = {
    "depthwise_3": _depthwise(3),
    "depthwise_5": _depthwise(5),
    "depthwise_7": _depthwise(7),
    "dilated_3": _depthwise(3, dilation=2),
    "max_pool_3": _max_pool(3),
}


def make_spatial(name: str, channels: int, stride: int, activation: str, scheme: Scheme) -> nn.Module:
    """The spatial operation ``name`` on ``channels`` channels."""
    return choose(SPATIAL, "spatial", name)(channels, stride, activation, scheme)


class SqueezeExcite(nn.Module):
    """Channel gate: pool, 1x1 to a quarter, ReLU, 1x1 back, hard sigmoid, multiply (MobileNetV3, section 5.3).

    The quarter is rounded to a multiple of ``divisor``.
    """

    def __init__(self, channels: int, scheme: Scheme, divisor: int = 8) -> None:
        super().__init__()
        squeezed = divisible(channels // 4, divisor)
        self.pool = GlobalAveragePool(scheme)
        self.reduce = ConvBN(channels, squeezed, scheme=scheme, activation="relu", batch_norm=False)
        self.restore = ConvBN(squeezed, channels, scheme=scheme, activation="hard_sigmoid", batch_norm=False)
        self.multiply = Multiply(scheme)

    def forward(self, x: QTensor) -> QTensor:
        gate = self.restore(self.reduce(self.pool(x)))  # (N, C, 1, 1)
        return self.multiply(x, gate)  # type: ignore[no-any-return]


GATES: dict[str, Callable[[int, Scheme], nn.Module]] = {"squeeze_excite": SqueezeExcite}


def make_gate(name: str, channels: int, scheme: Scheme) -> nn.Module | None:
    """The gate ``name``, or None for `none`."""
    return None if name == "none" else choose(GATES, "gate", name)(channels, scheme)
