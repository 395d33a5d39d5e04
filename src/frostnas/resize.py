"""A batch of images at another size, on its own device."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def resized(pixels: Tensor, size: int) -> Tensor:
    """float32 (B, 3, S, S) -> (B, 3, size, size), averaged where it becomes smaller."""
    if pixels.shape[-1] == size:
        return pixels
    return F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
