"""Pictures of any size, one at a time, and how many of them become one array of squares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from frostnas.artifacts import Reading
from frostnas.data.walk import shown
from frostnas.picture import Bytes, fit, read_picture, squeezed

Floats = npt.NDArray[np.float32]


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
    return _all(fit, pictures, indices, size, workers)[0]


def squeeze_all(pictures: Pictures, indices: Sequence[int], size: int, workers: int) -> tuple[Bytes, Floats]:
    """Many whole pictures squeezed into squares, uint8 (N, 3, S, S), and their width over height, float32 (N,)."""
    return _all(squeezed, pictures, indices, size, workers)


def _all(
    to_square: Callable[[Bytes, int], Bytes], pictures: Pictures, indices: Sequence[int], size: int, workers: int
) -> tuple[Bytes, Floats]:
    pixels = np.empty((len(indices), 3, size, size), np.uint8)
    aspects = np.empty(len(indices), np.float32)

    def place(slot: int) -> None:
        picture = pictures.picture(indices[slot])
        pixels[slot] = to_square(picture, size).transpose(2, 0, 1)
        aspects[slot] = picture.shape[1] / picture.shape[0]

    with ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(place, range(len(indices))))
    return pixels, aspects
