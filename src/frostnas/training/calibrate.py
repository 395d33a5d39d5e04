"""Post-training quantization: activation ranges from training images."""

from __future__ import annotations

import torch
from torch import nn

from frostnas.data import Images
from frostnas.quant import QuantState, set_state


@torch.no_grad()
def calibrate(model: nn.Module, images: Images, batch_size: int, batches: int) -> None:
    """Let the ranges follow ``batches`` batches of unaugmented images; weights and batch norm stay as they are."""
    set_state(model, QuantState.OBSERVE)
    model.eval()
    left = batches
    while left:
        for pixels, _ in images.batches(batch_size, seed=left):
            model(pixels)
            left -= 1
            if not left:
                break
