"""What every data set's way to splits shares."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_high

import numpy as np
import torch
from torch import Tensor

from frostnas.artifacts import ClassImages, ImageFormat, SplitRecord
from frostnas.config import DataConfig
from frostnas.data.folder import shown_classes
from frostnas.data.images import Images, Splits
from frostnas.data.memory import MemoryImages
from frostnas.data.pictures import Pictures, fit_all, squeeze_all
from frostnas.data.split import Indices
from frostnas.data.streamed import StreamedImages

TO_TRAIN = (True, False, False)
"""Which of train, val and test is learnt from."""
MOST_ENLARGED = 2  # of a picture's side for the sake of its crops; four times the memory and the work
SHARP = 1.5  # times as large, since crops are interpolated twice and would be blurred beside the images to test on
LOOKED_AT = 9  # pictures, for the size of most
log = logging.getLogger(__name__)


def sides_to_crop(side: int, crop: float, most: int) -> list[int]:
    """Of pictures whose crops, of ``crop`` of their area or more, have the detail of ``side`` pixels: best, and enough.

    Args:
        most: what the pictures have, pixels; more is never kept, unless ``side`` is more.
    """
    enough = min(side / math.sqrt(crop), MOST_ENLARGED * side)
    return [max(side, min(math.ceil(factor * enough), most)) for factor in (SHARP, 1.0)]


def longer_side(pictures: Pictures, indices: Indices) -> int:
    """Of most of the pictures at ``indices``, pixels."""
    some = indices[:: max(1, len(indices) // LOOKED_AT)].tolist()
    return int(median_high(max(pictures.picture(index).shape[:2]) for index in some))


@dataclass(frozen=True)
class Builder:
    """Makes `Images` and `Splits` of one format for one config and device."""

    config: DataConfig
    device: torch.device
    format: ImageFormat

    def memory(self, pixels: Tensor, labels: Tensor) -> MemoryImages:
        """Images on the device, from uint8 (N, 3, S, S) and int64 (N,)."""
        return MemoryImages(pixels.to(self.device), labels.to(self.device), self.format, self.config.augment)

    def images(
        self, pictures: Pictures, labels: Indices, indices: Indices | None = None, *, train: bool = False
    ) -> Images:
        """The pictures at ``indices`` (None: all): in memory if the whole set fits, as sharp as it does, else streamed.

        Args:
            train: they are to be learnt from, augmented and at `data.train_size`.
        """
        config = self.config
        side = (config.train_size if train else None) or config.side
        if indices is None:
            indices = np.arange(len(labels))
        chosen = torch.from_numpy(labels[indices])
        cropped = train and config.augment.crop < 1
        sides = sides_to_crop(side, config.augment.crop, longer_side(pictures, indices)) if cropped else [side]
        fitting = [one for one in sides if len(pictures) * 3 * one**2 <= config.in_memory_mb * 2**20]
        if fitting:
            kept = fitting[0]
            if cropped:  # parts of the whole picture, as when it is streamed
                whole, aspects = squeeze_all(pictures, indices.tolist(), kept, config.workers)
                made = self.memory(torch.from_numpy(whole), chosen)
                return replace(made, largest=side, aspects=torch.from_numpy(aspects))
            pixels = torch.from_numpy(fit_all(pictures, indices.tolist(), kept, config.workers))
            return replace(self.memory(pixels, chosen), largest=side)
        log.info("%d images of %d pixels are streamed by %d workers", len(indices), side, config.workers)
        where = torch.from_numpy(indices)
        return StreamedImages(
            pictures, where, chosen.to(self.device), self.format, config.augment, config.workers, side
        )

    def splits(
        self,
        parts: Sequence[Images],
        images: tuple[ClassImages, ...],
        test: Indices | None = None,
        skipped: int = 0,
        notes: Sequence[str] = (),
    ) -> Splits:
        """Splits of train, val and test.

        Args:
            images: what all of them are known by again.
            test: the positions held out; None where the set brings its own.
            notes: what is to be said of the images.
        """
        train, val, held_out = parts
        record = SplitRecord(
            data=self.config.name.value,
            seed=self.config.split_seed,
            train=len(train),
            val=len(val),
            test=len(held_out),
            test_fraction=None if test is None else self.config.test_fraction,
            test_indices=None if test is None else tuple(test.tolist()),
            images=images,
            skipped=skipped,
        )
        log.info("%s: %d images to train, %d to choose, %d to test", record.data, record.train, record.val, record.test)
        lacking = [
            f"there is no image to {purpose} on of class {shown_classes(missing)}"
            for purpose, part in (("train", train), ("choose", val), ("test", held_out))
            if (missing := self._missing(part))
        ]
        return Splits(self.format, record, train, val, held_out, (*notes, *lacking))

    def _missing(self, part: Images) -> list[str]:
        there = set(part.labels.tolist())
        return [name for label, name in enumerate(self.format.classes) if label not in there]
