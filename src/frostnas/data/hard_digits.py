"""Digits made hard: turned, moved, sheared, faded and noisy, in colour on textured backgrounds.

A stand-in for natural images where there is no network: small networks differ on it by points, not by tenths.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.config import DataConfig
from frostnas.data.digits import digit_scans
from frostnas.data.split import Indices

SIZE = 32  # pixels a side, before any resizing
VIEWS = 4  # images made of every scan
MEAN, STD = (0.5, 0.5, 0.5), (0.18, 0.18, 0.18)


def rendered(ways: tuple[Indices, Indices, Indices], part: int, config: DataConfig) -> tuple[Tensor, Tensor]:
    """The pictures uint8 (M, 3, S, S) and classes int64 (M,) of one part: to train on, to choose on, to test on.

    The scans are split before they are rendered, so that none is both learned from and tested on.
    """
    scans, labels = (torch.from_numpy(values[ways[part]]) for values in digit_scans())
    pixels = render(scans.unsqueeze(1), config.side, seed=3 * config.split_seed + part)
    return pixels, labels.repeat(VIEWS)


def render(scans: Tensor, image_size: int, seed: int) -> Tensor:
    """``VIEWS`` pictures of every scan, view after view.

    Args:
        scans: float32 (N, 1, 8, 8) in 0..1.

    Returns:
        uint8 (VIEWS * N, 3, S, S).
    """
    generator = torch.Generator().manual_seed(seed)
    ink = _placed(scans.repeat(VIEWS, 1, 1, 1), generator)
    count = len(ink)
    background = _texture(count, generator)
    colour = torch.rand(count, 3, 1, 1, generator=generator)
    # A digit whose colour is that of its background would be invisible: push the two apart.
    average = background.mean((2, 3), keepdim=True)
    colour = (average + (colour - 0.5).sign() * (0.3 + 0.5 * (colour - 0.5).abs())).clamp(0, 1)
    strength = 0.55 + 0.45 * torch.rand(count, 1, 1, 1, generator=generator)
    picture = torch.lerp(background, colour.expand_as(background), ink * strength)
    noise = 0.08 * torch.rand(count, 1, 1, 1, generator=generator)
    picture = picture + noise * torch.randn(picture.shape, generator=generator)
    if image_size != SIZE:
        picture = F.interpolate(picture, size=(image_size, image_size), mode="bilinear", antialias=True)
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8)


def _placed(scans: Tensor, generator: torch.Generator) -> Tensor:
    """Each scan somewhere in a field of its own: float32 (N, 1, 32, 32) in 0..1."""
    noise = torch.rand(5, len(scans), generator=generator) * 2 - 1
    angle, shear = noise[0] * math.radians(30), noise[1] * 0.3
    zoom = 1.45 + 0.3 * noise[2]  # the digit takes about two thirds of the side
    shift = noise[3:5] * (zoom - 1)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = torch.stack([cos, -sin + shear, shift[0], sin, cos, shift[1]], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(rows, [len(scans), 1, SIZE, SIZE], align_corners=False)
    large = F.interpolate(scans, scale_factor=4, mode="bicubic", align_corners=False).clamp(0, 1)
    return F.grid_sample(large, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _texture(count: int, generator: torch.Generator) -> Tensor:
    """Random colour at three scales, float32 (N, 3, 32, 32) in 0..1."""
    total = torch.full((count, 3, SIZE, SIZE), 0.5)
    for cells, strength in ((2, 0.45), (6, 0.25), (16, 0.12)):
        coarse = torch.rand(count, 3, cells, cells, generator=generator) - 0.5
        total += strength * F.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    return total.clamp(0, 1)
