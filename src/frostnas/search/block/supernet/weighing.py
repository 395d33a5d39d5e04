"""Mixing activations by architecture weights, with gradients that are quick on CPU.

The gradient of a weight is a sum over a whole activation. On a channels-last tensor torch's own reduction is many
times slower than the convolution before it, unless it runs along the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) channels_last -> a (N * H * W, C) view; a copy for other layouts."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, *values: Tensor) -> Tensor:
        ctx.save_for_backward(weights, *values)
        total = values[0] * weights[0]
        for value, weight in zip(values[1:], weights[1:], strict=True):
            total.addcmul_(value, weight)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weights, *values = ctx.saved_tensors
        gradient, wanted = gradients[0], ctx.needs_input_grad
        back = [gradient * weight if need else None for weight, need in zip(weights, wanted[1:], strict=True)]
        if not wanted[0]:
            return None, *back
        flat = _rows(gradient).flatten()
        return torch.stack([torch.dot(flat, _rows(value).flatten()) for value in values]), *back


def weighted_sum(terms: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Sum of value times weight, (N, C, H, W) and (); a single term is taken whole."""
    every = list(terms)
    if len(every) == 1:
        return every[0][0]
    return _WeightedSum.apply(torch.stack([weight for _, weight in every]), *(value for value, _ in every))  # type: ignore[no-any-return]


def total(values: Sequence[Tensor]) -> Tensor:
    """Sum of tensors of one shape."""
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result
