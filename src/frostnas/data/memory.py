"""Images that live on the device as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frostnas.artifacts import ImageFormat
from frostnas.config import AugmentConfig
from frostnas.data.augment import augment_batch, central_squares, erase_batch
from frostnas.data.images import WHOLE, Batch, Part, batch_indices, derived_seed, slots_of
from frostnas.data.normalise import Normalise
from frostnas.data.operations import RandAugment
from frostnas.resize import resized


@dataclass(frozen=True)
class MemoryImages:
    """`Images` over one tensor.

    pixels: uint8 (N, 3, R, R); R may be larger than the side of ``format``, for crops and for larger batches. labels:
    int64 (N,). Both on the device that batches are wanted on.
    """

    pixels: Tensor
    labels: Tensor
    format: ImageFormat
    augment: AugmentConfig
    largest: int | None = None
    """Side of the largest batches that the pixels have the detail of; None for their own."""
    aspects: Tensor | None = None
    """float32 (N,), on the CPU: the pixels are whole pictures of these widths over heights, squeezed into squares."""

    @property
    def side(self) -> int:
        return self.largest or self.pixels.shape[-1]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> MemoryImages:
        where = indices.to(self.pixels.device)
        aspects = self.aspects[indices.cpu()] if self.aspects is not None else None
        return replace(self, pixels=self.pixels[where], labels=self.labels[where], aspects=aspects)

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None = None,
        augment: bool = False,
        skip: int = 0,
        part: Part = WHOLE,
        size: int | None = None,
        balanced: bool = False,
    ) -> Iterator[Batch]:
        normalise, side = Normalise(self.format, self.pixels.device), size or self.format.image_size
        plan = batch_indices(len(self), batch_size, seed, self.labels if balanced else None)
        for number in range(skip, len(plan)):
            slots = slots_of(len(plan[number]), part)
            chosen = plan[number][slots.start : slots.stop : slots.step]
            where = chosen.to(self.pixels.device)
            pixels, aspects = self.pixels[where], self.aspects[chosen] if self.aspects is not None else None
            if augment:
                seed_of_batch = derived_seed(seed or 0, number)
                pixels = self._augmented(pixels, aspects, side, len(plan[number]), seed_of_batch, slots)
            elif aspects is not None:
                pixels = central_squares(pixels, aspects, side)
            else:
                pixels = resized(pixels.float() / 255, side)
            yield normalise(pixels), self.labels[where]

    def _augmented(
        self, pixels: Tensor, aspects: Tensor | None, side: int, batch: int, seed: int, slots: range
    ) -> Tensor:
        """float32 in 0..1; noise is drawn for the whole batch, so that every part gets its own of it."""
        config = self.augment
        if config.randaugment:
            operations = RandAugment(config)
            pixels = torch.stack(
                [operations(one, derived_seed(seed, slot)) for one, slot in zip(pixels, slots, strict=True)]
            )
        noise = torch.Generator().manual_seed(seed)
        own = torch.rand(9, batch, generator=noise)[:, list(slots)]
        moved = augment_batch(pixels, config, own, side, aspects)
        return erase_batch(moved, config, torch.rand(6, batch, generator=noise)[:, list(slots)])
