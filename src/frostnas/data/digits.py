"""scikit-learn's bundled handwritten digits, which need no network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frostnas.data.pictures import ArrayPictures
from frostnas.data.split import Indices

CLASSES = tuple(map(str, range(10)))
MEAN, STD = (0.305, 0.305, 0.305), (0.3185, 0.3185, 0.3185)  # of the enlarged images, pixels in 0..1
SIDE = 8  # pixels of a scan

Scans = npt.NDArray[np.float32]


def digit_scans() -> tuple[Scans, Indices]:
    """The 1,797 scans as float32 (N, 8, 8) in 0..1, and their classes int64 (N,)."""
    from sklearn.datasets import load_digits  # slow to import, and of no use to other data

    bunch = load_digits()
    return bunch.images.astype(np.float32) / np.float32(16), bunch.target.astype(np.int64)


def digits(image_size: int) -> tuple[ArrayPictures, Indices]:
    """The digits enlarged bilinearly to pictures of (S, S), and their classes int64 (N,)."""
    scans, labels = digit_scans()
    where = (np.arange(image_size, dtype=np.float32) + np.float32(0.5)) * np.float32(SIDE / image_size)
    where = np.maximum(where - np.float32(0.5), 0)  # of a pixel's centre, in pixels of the scan
    before = where.astype(np.int64)
    after = np.minimum(before + 1, SIDE - 1)
    share = (where - before).astype(np.float32)  # of the pixel after
    rows = scans[:, before] * (1 - share)[:, None] + scans[:, after] * share[:, None]
    large = rows[:, :, before] * (1 - share) + rows[:, :, after] * share
    return ArrayPictures(np.round(large * np.float32(255)).astype(np.uint8)), labels
