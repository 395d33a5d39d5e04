"""The quick depthwise convolution is the plain one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from frostnas.search.block.supernet import depthwise
from frostnas.search.block.supernet.depthwise import depthwise_conv


@pytest.mark.parametrize(("side", "stride", "size"), [(3, 1, 6), (5, 1, 4), (5, 2, 7), (7, 2, 8), (7, 1, 3)])
def test_values_and_both_gradients_are_those_of_the_plain_convolution(
    side: int, stride: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depthwise, "CHUNK", 2 * 8 * size * size)  # five images: two, two and one
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 8, size, size, generator=generator).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(8, 1, side, side, generator=generator)
    found, plain = (
        (lambda a, b: depthwise_conv(a, b, stride)),
        (lambda a, b: F.conv2d(a, b, None, stride, side // 2, 1, 8)),
    )
    results = []
    for convolve in (found, plain):
        inputs = x.clone().requires_grad_(), weight.clone().requires_grad_()
        y = convolve(*inputs)
        cotangent = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
        results.append((y, *torch.autograd.grad(y, inputs, cotangent)))
    for mine, reference in zip(*results, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)


def test_a_weight_without_gradient_costs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise, "_weight_gradient", lambda *_: pytest.fail("computed"))
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    depthwise_conv(x, torch.randn(4, 1, 5, 5), 1).sum().backward()
    assert x.grad is not None
