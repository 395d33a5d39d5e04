"""Augmentation of a batch on its device: a part of each image, or an affine map per image, sampled in one call."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import resized_crop

from frostnas.config import AugmentConfig
from frostnas.resize import resized

CROP_ASPECT = 4 / 3  # widest and, inverted, narrowest crop
RATIOS, TINY = 64, 1e-6  # ratios of sides to draw from, and what one counts of which no box is inside
ERASE_AREA, ERASE_ASPECT = (0.02, 1 / 3), 10 / 3  # random erasing, as published


def augment_batch(
    pixels: Tensor, config: AugmentConfig, noise: Tensor, size: int, aspects: Tensor | None = None
) -> Tensor:
    """Crop, turn, resize, move and mirror each image by its own random amounts; what comes into view is black.

    Args:
        pixels: uint8 (B, 3, S, S).
        noise: float32 (9, B), uniform in 0..1, on the CPU.
        aspects: float32 (B,), on the CPU: widths over heights that the images had before they became squares.

    Returns:
        float32 (B, 3, size, size) in 0..1.
    """
    extent, centre = crop_boxes(noise[5:], config.crop, aspects)
    if config.shift or config.rotate or config.scale:
        pixels = resized(_moved(pixels.float() / 255, config, noise, extent, centre), size)
    elif config.crop < 1:
        pixels = parts(pixels, extent, centre, size)
    else:
        pixels = resized(pixels.float() / 255, size)
    if not config.flip:
        return pixels
    mirrored = (noise[4] < 0.5).to(pixels.device)
    return torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)


def central_squares(pixels: Tensor, aspects: Tensor, size: int) -> Tensor:
    """float32 (B, 3, size, size) in 0..1, of uint8 images (B, 3, S, S) that were squeezed from ``aspects`` (B,), on the
    CPU, widths over heights."""
    wide = aspects.clamp(min=1)
    extent = torch.stack([1 / wide, aspects / wide])
    return parts(pixels, extent, torch.zeros_like(extent), size)


def parts(pixels: Tensor, extent: Tensor, centre: Tensor, size: int) -> Tensor:
    """One box of each image, resized with averaging, as torchvision does it: in whole pixels and levels.

    Args:
        pixels: uint8 (B, 3, S, S).
        extent: float32 (2, B), on the CPU: widths and heights as shares of the sides.
        centre: float32 (2, B), in -1..1.

    Returns:
        float32 (B, 3, size, size) in 0..1.
    """
    side = pixels.shape[-1]
    low, high = (((1 + centre + sign * extent) / 2 * side).round().long() for sign in (-1, 1))
    low = low.clamp(0, side - 1)
    width, height = (high.clamp(max=side) - low).clamp(min=1).tolist()
    left, top = low.tolist()
    boxes = zip(top, left, height, width, strict=True)
    seen = [resized_crop(one, *box, size=[size, size]) for one, box in zip(pixels, boxes, strict=True)]
    return torch.stack(seen).float() / 255


def _moved(pixels: Tensor, config: AugmentConfig, noise: Tensor, extent: Tensor, centre: Tensor) -> Tensor:
    """Boxes of images, turned, resized and moved: one affine map for each, all sampled in one call."""
    signed = noise * 2 - 1
    angle = signed[0] * math.radians(config.rotate)
    zoom = 1 / (1 + signed[1] * config.scale)
    inside = 1 - 1 / pixels.shape[-1]  # beyond the outermost pixels' centres black would blend in
    shift = centre * inside + signed[2:4] * 2 * config.shift  # the grid spans -1..1
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    across, down = [extent[0] * cos, -extent[0] * sin, shift[0]], [extent[1] * sin, extent[1] * cos, shift[1]]
    theta = torch.stack([*across, *down], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta.to(pixels.device, non_blocking=True), list(pixels.shape), False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def crop_boxes(noise: Tensor, smallest: float, aspects: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Width and height as shares of the sides, and centres in -1..1, (2, B) each, from uniform noise (4, B)."""
    if smallest >= 1:
        return torch.ones_like(noise[:2]), torch.zeros_like(noise[:2])
    return _boxes(noise, (smallest, 1.0), CROP_ASPECT, aspects)


def erase_batch(pixels: Tensor, config: AugmentConfig, noise: Tensor) -> Tensor:
    """Random erasing: a rectangle of some images becomes noise.

    Args:
        pixels: float32 (B, 3, S, S) in 0..1.
        noise: float32 (6, B), uniform in 0..1, on the CPU; the last row seeds each image's own pattern.
    """
    if not config.erase:
        return pixels
    chosen = torch.nonzero(noise[0] < config.erase).flatten()
    extent, centre = _boxes(noise[1:5], ERASE_AREA, ERASE_ASPECT)
    side = pixels.shape[-1]
    low = ((centre - extent + 1) / 2 * side).round().long().clamp(0, side)  # (2, B), pixels
    high = ((centre + extent + 1) / 2 * side).round().long().clamp(0, side)
    for index in chosen.tolist():
        generator = torch.Generator().manual_seed(int(noise[5, index].item() * 2**24))
        (left, top), (right, bottom) = low[:, index].tolist(), high[:, index].tolist()
        pattern = torch.rand(3, bottom - top, right - left, generator=generator)
        pixels[index, :, top:bottom, left:right] = pattern.to(pixels.device)
    return pixels


def _boxes(
    noise: Tensor, area: tuple[float, float], aspect: float, aspects: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Extents as shares of the sides and centres in -1..1, (2, B) each, of boxes inside images of ``aspects``.

    All boxes of such areas and ratios of their sides that are inside are equally likely, as where one that is not is
    drawn again (torchvision's RandomResizedCrop).
    """
    shape = torch.exp(torch.linspace(-1, 1, RATIOS) * math.log(aspect)).expand(noise.shape[1], RATIOS)
    ratios = shape if aspects is None else shape / aspects[:, None]
    room = (torch.minimum(ratios, 1 / ratios).clamp(max=area[1]) - area[0]).clamp(min=TINY)
    total = room.cumsum(1)
    drawn = torch.searchsorted(total, noise[1][:, None] * total[:, -1:]).clamp(max=RATIOS - 1)
    ratio = ratios.gather(1, drawn).squeeze(1)
    largest = torch.minimum(ratio, 1 / ratio).clamp(max=area[1])  # of this ratio, inside the image
    smallest = largest.clamp(max=area[0])
    size = smallest + noise[0] * (largest - smallest)
    extent = torch.stack([(size * ratio).sqrt(), (size / ratio).sqrt()])
    return extent, (noise[2:4] * 2 - 1) * (1 - extent)
