"""What a network costs: multiply-adds of one image."""

from __future__ import annotations

import torch
from torch import nn

from frostnas.engine import evaluating
from frostnas.quant import ConvBN, QTensor


def multiply_adds(model: nn.Module, image_size: int) -> int:
    """Multiply-adds of the convolutions for one image of ``image_size`` pixels a side."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[QTensor], output: QTensor) -> None:
        nonlocal total
        assert isinstance(layer, ConvBN)
        total += output.value.numel() * layer.conv.weight[0].numel()

    handles = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, ConvBN)]
    device = next(model.parameters()).device
    with evaluating(model):
        model(torch.zeros(1, 3, image_size, image_size, device=device))
    for handle in handles:
        handle.remove()
    return total
