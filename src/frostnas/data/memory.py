"""Images that live on the device as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from frostnas.artifacts import ImageFormat
from frostnas.config import AugmentConfig
from frostnas.data.augment import augment_batch
from frostnas.data.images import Batch, batch_indices, derived_seed


@dataclass(frozen=True)
class MemoryImages:
    """`Images` over one tensor.

    pixels: uint8 (N, 3, S, S). labels: int64 (N,). Both on the device that batches are wanted on.
    """

    pixels: Tensor
    labels: Tensor
    format: ImageFormat
    augment: AugmentConfig

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> MemoryImages:
        where = indices.to(self.pixels.device)
        return MemoryImages(self.pixels[where], self.labels[where], self.format, self.augment)

    def batches(
        self, batch_size: int, *, seed: int | None = None, augment: bool = False, skip: int = 0
    ) -> Iterator[Batch]:
        mean = torch.tensor(self.format.mean, device=self.pixels.device).view(3, 1, 1)
        std = torch.tensor(self.format.std, device=self.pixels.device).view(3, 1, 1)
        plan = batch_indices(len(self), batch_size, seed)
        for number in range(skip, len(plan)):
            where = plan[number].to(self.pixels.device)
            pixels = self.pixels[where].float() / 255
            if augment:
                noise = torch.Generator().manual_seed(derived_seed(seed or 0, number))
                pixels = augment_batch(pixels, self.augment, noise)
            pixels = pixels.sub_(mean).div_(std)
            yield pixels.contiguous(memory_format=torch.channels_last), self.labels[where]
