"""Augmentation of a whole batch on its device: one affine map per image, sampled in one call."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.config import AugmentConfig


def augment_batch(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Turn, resize, move and mirror each image by its own random amounts; what comes into view is black.

    Args:
        pixels: float32 (B, 3, S, S) in 0..1.
        generator: on the CPU, so that every device draws the same amounts.
    """
    noise = torch.rand(5, len(pixels), generator=generator)  # uniform in 0..1
    if not (config.flip or config.shift or config.rotate or config.scale):
        return pixels
    mirrored = torch.where(noise[4] < 0.5, -1.0, 1.0) if config.flip else torch.ones(len(pixels))
    signed = noise * 2 - 1
    angle = signed[0] * math.radians(config.rotate)
    zoom = 1 / (1 + signed[1] * config.scale)
    shift = signed[2:4] * 2 * config.shift  # the grid spans -1..1
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = torch.stack([cos * mirrored, -sin, shift[0], sin * mirrored, cos, shift[1]], dim=1)
    theta = rows.view(-1, 2, 3).to(pixels.device, non_blocking=True)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
