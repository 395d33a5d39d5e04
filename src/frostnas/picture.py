"""One picture of any size and mode as a network's input, by Pillow and numpy alone, so that a board needs no torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from frostnas.artifacts import Reading

Bytes = npt.NDArray[np.uint8]
MAX_PIXELS = 128_000_000  # of a picture: as 8-bit RGB this takes about a gigabyte while it is read
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # `upright` has a limit of its own


def read_picture(file: Path | BinaryIO, reading: Reading) -> Bytes:
    """An image file of any mode as upright RGB uint8 (H, W, 3), transparent parts on the background.

    Colour of 16 bits a channel comes by its upper bytes: Pillow reads no more of it.

    Raises:
        OSError, ValueError, SyntaxError: Pillow cannot read it to its end, it is too large, or it is deeper than 8
            bits and ``reading`` has no levels for that.
    """
    image = upright(file)
    if is_deep(image):
        if reading.levels is None:
            raise ValueError(f"deeper than 8 bits (mode {image.mode}), of which no black and white are known here")
        grey = from_levels(np.asarray(image), reading.levels)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if has_alpha(image):
        image = on_background(image, reading.background)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def upright(file: Path | BinaryIO) -> Image.Image:
    """An image file as Pillow reads it, turned as its EXIF data says."""
    with Image.open(file) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels; expected at most {MAX_PIXELS:,}")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image


def is_deep(image: Image.Image) -> bool:
    """Whether it is grey with values of more than 8 bits: uint16, int32 or float32."""
    return image.mode.startswith(("I", "F"))


def has_alpha(image: Image.Image) -> bool:
    """Whether parts of it may be transparent, by a channel or by a colour that stands for it."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def from_levels(values: npt.NDArray[Any], levels: tuple[float, float]) -> Bytes:
    """Grey values (H, W) as uint8 of that shape, linear between black and white; what is no number is black."""
    black, white = levels
    grey = values.astype(np.float64)
    grey -= black
    grey *= 255 / (white - black)
    np.nan_to_num(grey, copy=False)
    return grey.clip(0, 255, out=grey).round(out=grey).astype(np.uint8)


def on_background(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """A picture with alpha, composed on a colour: RGBA without transparent parts."""
    above = with_alpha(image)
    return Image.alpha_composite(Image.new("RGBA", above.size, (*background, 255)), above)


def with_alpha(image: Image.Image) -> Image.Image:
    """A picture with alpha of any mode as RGBA."""
    if image.mode == "La":  # premultiplied grey, which Pillow converts to grey alone
        image = image.convert("LA")
    return image.convert("RGBA")


def fit(picture: Bytes, size: int) -> Bytes:
    """The central square (size, size, 3) of uint8 (H, W, 3) whose shorter side is resized to ``size``.

    Only the square is made: the longer side of a strip of 30,000 x 3 pixels would be enlarged to gigabytes.
    """
    height, width = picture.shape[:2]
    if (height, width) == (size, size):
        return picture
    short = min(height, width)
    tall, wide = size * height // short, size * width // short
    top, left = round((tall - size) / 2), round((wide - size) / 2)
    box = (left * width / wide, top * height / tall, (left + size) * width / wide, (top + size) * height / tall)
    square = Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(square)


def squeezed(picture: Bytes, size: int) -> Bytes:
    """All of uint8 (H, W, 3), its sides resized apart, as (size, size, 3)."""
    if picture.shape[:2] == (size, size):
        return picture
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR))


def normalised(
    pictures: Bytes, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """uint8 (N, 3, S, S) as a network takes them, float32 of that shape; ``mean`` and ``std`` are of RGB in 0..1."""
    scaled = pictures.astype(np.float32) / np.float32(255)
    scaled -= np.asarray(mean, np.float32).reshape(3, 1, 1)
    scaled /= np.asarray(std, np.float32).reshape(3, 1, 1)
    return np.ascontiguousarray(scaled)
