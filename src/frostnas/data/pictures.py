"""Pictures of any size and mode, one at a time, and how they become square bytes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import v2

Bytes = npt.NDArray[np.uint8]


class Pictures(Protocol):
    """Random access to pictures as they are stored."""

    def __len__(self) -> int: ...

    def picture(self, index: int) -> Tensor:
        """uint8 RGB (3, H, W)."""
        ...


@dataclass(frozen=True)
class ArrayPictures:
    """Pictures of one size in memory: uint8 (N, H, W) grey or (N, H, W, 3) RGB."""

    pixels: Bytes

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int) -> Tensor:
        one = torch.from_numpy(self.pixels[index])
        return one.expand(3, -1, -1) if one.dim() == 2 else one.permute(2, 0, 1)


@dataclass(frozen=True)
class FilePictures:
    """Image files."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Tensor:
        return torch.from_numpy(read_picture(self.paths[index])).permute(2, 0, 1)


def read_picture(path: Path) -> Bytes:
    """An image file of any mode as upright RGB uint8 (H, W, 3).

    Raises:
        OSError, ValueError, SyntaxError: Pillow cannot read it to its end.
    """
    with Image.open(path) as stored:
        image = ImageOps.exif_transpose(stored)
        if image.mode.startswith(("I", "F")):  # 16 bits and more, which Pillow would cut off instead of scaling
            grey = np.asarray(image, dtype=np.float64)
            top = 65535 if grey.max() > 255 else 255
            image = Image.fromarray((grey.clip(0, top) * (255 / top)).astype(np.uint8))
        if "transparency" in image.info:
            image = image.convert("RGBA")
        return np.array(image.convert("RGB"))


def fit(picture: Tensor, size: int) -> Tensor:
    """The central square, uint8 (3, S, S), after resizing the shorter side to ``size``."""
    if picture.shape[1:] == (size, size):
        return picture
    resized = v2.functional.resize(picture, [size], interpolation=v2.InterpolationMode.BILINEAR, antialias=True)
    return v2.functional.center_crop(resized, [size, size])  # type: ignore[no-any-return]


def fit_all(pictures: Pictures, indices: Sequence[int], size: int, workers: int) -> Tensor:
    """Many pictures as uint8 (N, 3, S, S), read by ``workers`` threads."""
    pixels = torch.empty(len(indices), 3, size, size, dtype=torch.uint8)

    def place(slot: int) -> None:
        pixels[slot] = fit(pictures.picture(indices[slot]), size)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(place, range(len(indices))))
    return pixels
