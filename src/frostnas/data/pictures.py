"""Pictures of any size, one at a time, and how many of them become one array of squares."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from frostnas.artifacts import Reading
from frostnas.data.walk import shown
from frostnas.picture import Bytes, fit, read_picture


class PictureError(RuntimeError):
    """A picture went away, or became another, while it was needed."""


class Pictures(Protocol):
    """Random access to pictures as they are stored."""

    def __len__(self) -> int: ...

    def picture(self, index: int) -> Bytes:
        """uint8 RGB (H, W, 3), to be changed freely."""
        ...


@dataclass(frozen=True)
class ArrayPictures:
    """Pictures of one size in memory: uint8 (N, H, W) grey or (N, H, W, 3) RGB."""

    pixels: Bytes

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int) -> Bytes:
        one = self.pixels[index]
        return np.repeat(one[:, :, None], 3, axis=2) if one.ndim == 2 else one.copy()


@dataclass(frozen=True)
class FilePictures:
    """Image files, all read by one rule."""

    paths: tuple[Path, ...]
    reading: Reading

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Bytes:
        path = self.paths[index]
        try:
            return read_picture(path, self.reading)
        except Exception as error:  # Pillow's readers raise whatever their format's parser does
            raise PictureError(
                f"{shown(path)}: could be read when the images were listed, and no longer "
                f"({shown(f'{type(error).__name__}: {error}')})"
            ) from None


def fit_all(pictures: Pictures, indices: Sequence[int], size: int, workers: int) -> Bytes:
    """The central squares of many pictures as uint8 (N, 3, S, S), read by ``workers`` threads."""
    pixels = np.empty((len(indices), 3, size, size), np.uint8)

    def place(slot: int) -> None:
        pixels[slot] = fit(pictures.picture(indices[slot]), size).transpose(2, 0, 1)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(place, range(len(indices))))
    return pixels
