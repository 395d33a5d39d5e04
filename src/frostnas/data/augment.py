"""Augmentation of a whole batch on its device: one affine map per image, sampled in one call."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.config import AugmentConfig

ASPECT = 4 / 3  # widest and, inverted, narrowest crop


def augment_batch(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Crop, turn, resize, move and mirror each image by its own random amounts; what comes into view is black.

    Args:
        pixels: float32 (B, 3, S, S) in 0..1.
        generator: on the CPU, so that every device draws the same amounts.
    """
    noise = torch.rand(9, len(pixels), generator=generator)  # uniform in 0..1
    if not (config.flip or config.shift or config.rotate or config.scale or config.crop < 1):
        return pixels
    signed = noise * 2 - 1
    angle = signed[0] * math.radians(config.rotate)
    zoom = 1 / (1 + signed[1] * config.scale)
    extent, centre = crop_boxes(noise[5:], config.crop)
    inside = 1 - 1 / pixels.shape[-1]  # beyond the outermost pixels' centres black would blend in
    shift = centre * inside + signed[2:4] * 2 * config.shift  # the grid spans -1..1
    mirrored = torch.where(noise[4] < 0.5, -1.0, 1.0) if config.flip else torch.ones(len(pixels))
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    across = [extent[0] * cos * mirrored, -extent[0] * sin, shift[0]]
    down = [extent[1] * sin * mirrored, extent[1] * cos, shift[1]]
    theta = torch.stack([*across, *down], dim=1).view(-1, 2, 3).to(pixels.device, non_blocking=True)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def crop_boxes(noise: Tensor, smallest: float) -> tuple[Tensor, Tensor]:
    """Width and height as shares of the side, and centres in -1..1, (2, B) each, from uniform noise (4, B)."""
    if smallest >= 1:
        return torch.ones_like(noise[:2]), torch.zeros_like(noise[:2])
    area = smallest + noise[0] * (1 - smallest)
    ratio = torch.exp((noise[1] * 2 - 1) * math.log(ASPECT))
    extent = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()]).clamp(max=1)
    return extent, (noise[2:4] * 2 - 1) * (1 - extent)
