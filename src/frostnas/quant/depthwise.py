"""Depthwise convolution whose gradients are quick on CPU.

oneDNN's kernels for the weight gradient of a depthwise convolution are up to ten times as slow where the kernel is
wider than three taps, or than the map. The map is therefore padded first, and the kernel cut into strips of three
columns.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

STRIP = 3  # columns that the fast kernel handles
CHUNK = 2**18  # input values whose padded copies stay in the cache


def depthwise_conv(x: Tensor, weight: Tensor, stride: int, dilation: int = 1) -> Tensor:
    """`F.conv2d` of (N, C, H, W) by (C, 1, k, k), k odd, with as much padding at both ends as keeps the map's side
    -> (N, C, H / stride, W / stride)."""
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] - 1) // 2, dilation, len(weight))
    weight = undilated(weight, dilation)
    side = weight.shape[-1]
    if side <= min(STRIP, *x.shape[2:]):
        return F.conv2d(x, weight, None, stride, side // 2, 1, len(weight))
    return _InStrips.apply(x, weight, stride)  # type: ignore[no-any-return]


def undilated(weight: Tensor, dilation: int) -> Tensor:
    """The same convolution with its holes filled by zeros, (C, 1, k, k) -> (C, 1, d (k - 1) + 1, d (k - 1) + 1).

    On CPU the backward pass of a dilated depthwise convolution costs six times that of the dense one.
    """
    if dilation == 1:
        return weight
    side = dilation * (weight.shape[-1] - 1) + 1
    dense = weight.new_zeros(*weight.shape[:2], side, side)
    dense[..., ::dilation, ::dilation] = weight
    return dense


class _InStrips(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient, padding = gradients[0], weight.shape[-1] // 2
        wants_x, wants_weight, _ = ctx.needs_input_grad
        of_x = _conv_gradients(gradient, x, weight, ctx.stride, padding, (True, False))[0] if wants_x else None
        return of_x, _weight_gradient(gradient, x, weight, ctx.stride) if wants_weight else None, None


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Summed over chunks of the batch, (C, 1, k, k)."""
    images = max(1, CHUNK // x[0].numel())
    return torch.stack(
        [
            _in_strips(gradient_part, x_part, weight, stride)
            for gradient_part, x_part in zip(torch.split(gradient, images), torch.split(x, images), strict=True)
        ]
    ).sum(0)


def _in_strips(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Strip by strip; the last one reaches beyond the kernel and is cut."""
    side, columns = weight.shape[-1], gradient.shape[-1]
    padding, strips = side // 2, -(-side // STRIP)
    padded = F.pad(x, (padding, padding + strips * STRIP - side, padding, padding))
    width = stride * (columns - 1) + STRIP  # of the input that one strip sees
    like = weight.new_empty(len(weight), 1, side, STRIP)
    parts = [
        _conv_gradients(gradient, padded[..., start : start + width], like, stride, 0, (False, True))[1]
        for start in range(0, strips * STRIP, STRIP)
    ]
    return torch.cat(parts, dim=3)[..., :side]


def _conv_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.ops.aten.convolution_backward(  # type: ignore[no-any-return]
        gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), [*wanted, False]
    )
