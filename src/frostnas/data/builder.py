"""What every data set's way to splits shares."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frostnas.artifacts import ImageFormat, SplitRecord
from frostnas.config import DataConfig
from frostnas.data.images import Images, Splits
from frostnas.data.memory import MemoryImages
from frostnas.data.pictures import Pictures, fit_all
from frostnas.data.split import Indices
from frostnas.data.streamed import StreamedImages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Builder:
    """Makes `Images` and `Splits` of one format for one config and device."""

    config: DataConfig
    device: torch.device
    format: ImageFormat

    def memory(self, pixels: Tensor, labels: Tensor) -> MemoryImages:
        """Images on the device, from uint8 (N, 3, S, S) and int64 (N,)."""
        return MemoryImages(pixels.to(self.device), labels.to(self.device), self.format, self.config.augment)

    def parts(self, pictures: Pictures, labels: Indices, ways: Sequence[Indices]) -> list[Images]:
        """Images for each of ``ways``, of which the first are trained on."""
        config = self.config
        sides = [config.train_size or config.image_size, *[config.image_size] * len(ways)]
        return [self.images(pictures, labels, way, side) for way, side in zip(ways, sides, strict=False)]

    def images(
        self, pictures: Pictures, labels: Indices, indices: Indices | None = None, side: int | None = None
    ) -> Images:
        """The pictures at ``indices`` (None: all): in memory if the whole set fits, else streamed.

        Args:
            side: that they are kept at, pixels; None for `data.image_size`.
        """
        config = self.config
        side = side or config.image_size
        if indices is None:
            indices = np.arange(len(labels))
        chosen = torch.from_numpy(labels[indices])
        if len(pictures) * 3 * side**2 <= config.in_memory_mb * 2**20:
            pixels = fit_all(pictures, indices.tolist(), side, config.workers)
            return self.memory(torch.from_numpy(pixels), chosen)
        log.info("%d images of %d pixels are streamed by %d workers", len(indices), side, config.workers)
        where = torch.from_numpy(indices)
        return StreamedImages(
            pictures, where, chosen.to(self.device), self.format, config.augment, config.workers, side
        )

    def splits(self, parts: Sequence[Images], test: Indices | None = None, skipped: int = 0) -> Splits:
        """Splits of train, val and test; ``test`` are the positions held out, None where the set brings its own."""
        train, val, held_out = parts
        record = SplitRecord(
            data=self.config.name.value,
            seed=self.config.split_seed,
            train=len(train),
            val=len(val),
            test=len(held_out),
            test_fraction=None if test is None else self.config.test_fraction,
            test_indices=None if test is None else tuple(test.tolist()),
            skipped=skipped,
        )
        log.info("%s: %d images to train, %d to choose, %d to test", record.data, record.train, record.val, record.test)
        return Splits(self.format, record, train, val, held_out)
