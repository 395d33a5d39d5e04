"""The quick depthwise convolution is the plain one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from frostnas.quant import depthwise
from frostnas.quant.depthwise import depthwise_conv


@pytest.mark.parametrize(
    ("side", "stride", "size", "dilation"),
    [
        (3, 1, 6, 1),
        (5, 1, 4, 1),
        (5, 2, 7, 1),
        (7, 2, 8, 1),
        (7, 1, 3, 1),
        (3, 1, 2, 1),
        (3, 2, 1, 1),
        (5, 2, 2, 1),
        (3, 1, 6, 2),
        (3, 2, 3, 2),
    ],
)
def test_values_and_both_gradients_are_those_of_the_plain_convolution(
    side: int, stride: int, size: int, dilation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depthwise, "CHUNK", 2 * 8 * size * size)  # five images: two, two and one
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 8, size, size, generator=generator).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(8, 1, side, side, generator=generator)
    found, plain = (
        (lambda a, b: depthwise_conv(a, b, stride, dilation)),
        (lambda a, b: F.conv2d(a, b, None, stride, dilation * (side // 2), dilation, 8)),
    )
    results = []
    for convolve in (found, plain):
        inputs = x.clone().requires_grad_(), weight.clone().requires_grad_()
        y = convolve(*inputs)
        cotangent = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
        results.append((y, *torch.autograd.grad(y, inputs, cotangent)))
    for mine, reference in zip(*results, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)


class WithoutWeightGradients(TorchDispatchMode):
    """Fails where a convolution's backward computes the gradient of its weight."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution_backward.default:
            assert not args[-1][1]
        return func(*args, **(kwargs or {}))


def test_a_weight_without_gradient_costs_none() -> None:
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    for wanted in (False, True):
        weight = torch.randn(4, 1, 5, 5, requires_grad=wanted)
        computed = pytest.raises(AssertionError) if wanted else nullcontext()
        with WithoutWeightGradients(), computed:
            depthwise_conv(x, weight, 1).sum().backward()
