"""scikit-learn's bundled handwritten digits, which need no network."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

MEAN, STD = (0.305, 0.305, 0.305), (0.3185, 0.3185, 0.3185)  # of the enlarged images, pixels in 0..1


def digit_pixels() -> tuple[Tensor, Tensor]:
    """The 1,797 scans as float32 (N, 1, 8, 8) in 0..1, and their classes int64 (N,)."""
    bunch = load_digits()
    return torch.from_numpy(bunch.images).float().unsqueeze(1) / 16, torch.from_numpy(bunch.target).long()


def digits(image_size: int) -> tuple[Tensor, Tensor]:
    """The digits enlarged to RGB uint8 (N, 3, S, S), and their classes int64 (N,)."""
    scans, labels = digit_pixels()
    large = F.interpolate(scans, size=(image_size, image_size), mode="bilinear", align_corners=False)
    return (large * 255).round().to(torch.uint8).repeat(1, 3, 1, 1), labels
