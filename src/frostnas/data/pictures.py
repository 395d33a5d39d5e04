"""Pictures of any size, one at a time, and how many of them become square tensors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from frostnas.picture import Bytes, fit, read_picture


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


def fit_tensor(picture: Tensor, size: int) -> Tensor:
    """The central square, uint8 (3, S, S), after resizing the shorter side to ``size``."""
    return torch.from_numpy(np.array(fit(picture.permute(1, 2, 0).numpy(), size))).permute(2, 0, 1)


def fit_all(pictures: Pictures, indices: Sequence[int], size: int, workers: int) -> Tensor:
    """Many pictures as uint8 (N, 3, S, S), read by ``workers`` threads."""
    pixels = torch.empty(len(indices), 3, size, size, dtype=torch.uint8)

    def place(slot: int) -> None:
        pixels[slot] = fit_tensor(pictures.picture(indices[slot]), size)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(place, range(len(indices))))
    return pixels
