"""The last step before a network."""

from __future__ import annotations

import torch
from torch import Tensor

from frostnas.artifacts import ImageFormat


class Normalise:
    """float32 (B, 3, S, S) in 0..1 -> the same by the format's mean and std, channels_last; the input is used up."""

    def __init__(self, image_format: ImageFormat, device: torch.device) -> None:
        self.mean = torch.tensor(image_format.mean, device=device).view(3, 1, 1)
        self.std = torch.tensor(image_format.std, device=device).view(3, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels.sub_(self.mean).div_(self.std).contiguous(memory_format=torch.channels_last)
