"""RandAugment with a magnitude that varies, one image at a time."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import v2

from frostnas.config import AugmentConfig

LEVELS = 101  # of torchvision's magnitude; ten of them are one of the recipe's


class RandAugment:
    """Two random operations per image; the magnitude of 0..10 is normal around the configured one (m9-mstd0.5)."""

    def __init__(self, config: AugmentConfig) -> None:
        self.mean, self.std = config.randaugment, config.randaugment_std

    def __call__(self, picture: Tensor, seed: int) -> Tensor:
        """uint8 (3, H, W) -> uint8 (3, H, W); the global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.draw(picture)

    def draw(self, picture: Tensor) -> Tensor:
        """The same from the global generator."""
        magnitude = min(10.0, max(0.0, self.mean + self.std * torch.randn(()).item()))
        operations = v2.RandAugment(
            num_ops=2,
            magnitude=round(magnitude * (LEVELS - 1) / 10),
            num_magnitude_bins=LEVELS,
            interpolation=v2.InterpolationMode.BILINEAR,
        )
        return operations(picture)  # type: ignore[no-any-return]
