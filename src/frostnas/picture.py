"""One picture of any size and mode as a network's input, by Pillow and numpy alone, so that a board needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Bytes = npt.NDArray[np.uint8]


def read_picture(file: Path | BinaryIO) -> Bytes:
    """An image file of any mode as upright RGB uint8 (H, W, 3).

    Raises:
        OSError, ValueError, SyntaxError: Pillow cannot read it to its end.
    """
    with Image.open(file) as stored:
        image = ImageOps.exif_transpose(stored)
        if image.mode.startswith(("I", "F")):  # 16 bits and more, which Pillow would cut off instead of scaling
            grey = np.asarray(image, dtype=np.float64)
            top = 65535 if grey.max() > 255 else 255
            image = Image.fromarray((grey.clip(0, top) * (255 / top)).astype(np.uint8))
        if "transparency" in image.info:
            image = image.convert("RGBA")
        return np.array(image.convert("RGB"))


def fit(picture: Bytes, size: int) -> Bytes:
    """The central square (size, size, 3) of uint8 (H, W, 3), after resizing its shorter side to ``size``."""
    height, width = picture.shape[:2]
    if (height, width) == (size, size):
        return picture
    short = min(height, width)
    height, width = (size * height // short, size * width // short)
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return np.asarray(resized)[top : top + size, left : left + size]


def normalised(
    pictures: Bytes, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """uint8 (N, 3, S, S) as a network takes them, float32 of that shape; ``mean`` and ``std`` are of RGB in 0..1."""
    scaled = pictures.astype(np.float32) / np.float32(255)
    scaled -= np.asarray(mean, np.float32).reshape(3, 1, 1)
    scaled /= np.asarray(std, np.float32).reshape(3, 1, 1)
    return np.ascontiguousarray(scaled)
