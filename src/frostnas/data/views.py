"""Some random views of every picture, made once and shown again: a teacher is asked about each of them only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from frostnas.data.images import WHOLE, Batch, Images, Part, batch_indices, derived_seed
from frostnas.resize import resized

BYTES = 2  # of a stored value, float16: an eighth of a level of the picture's


class Views:
    """`Images` of which every augmented pass shows one of some stored passes over others, in an order of its own.

    A pass is stored when it is first shown: the random views that its seed gives, at the side of these batches. What is
    not augmented is that of the others. All passes have to ask for batches of one size, for one process.
    """

    def __init__(
        self, images: Images, count: int, side: int, seed: int, seen: Callable[[Tensor, Tensor], None]
    ) -> None:
        """
        Args:
            count: of stored passes.
            side: of the batches, pixels, at most that of ``images``.
            seed: of the views.
            seen: is told of stored pixels, float32 (B, 3, side, side), and of the same at the side of ``images``.
        """
        self.images, self.count, self.side, self.seed, self.seen = images, count, side, seed, seen
        self.stored: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def labels(self) -> Tensor:
        return self.images.labels

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Tensor) -> Images:
        return self.images.subset(indices)

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
        if not augment or seed is None:
            yield from self.images.batches(
                batch_size, seed=seed, augment=augment, skip=skip, part=part, size=size, balanced=balanced
            )
            return
        number = seed % self.count
        if number not in self.stored:
            self.stored[number] = self._made(number, batch_size, balanced)
        pixels, labels = self.stored[number]
        for where in batch_indices(len(labels), batch_size, seed)[skip:]:
            where = where.to(labels.device)
            yield resized(_shown(pixels[where]), size or self.side), labels[where]

    def _made(self, number: int, batch_size: int, balanced: bool) -> tuple[Tensor, Tensor]:
        """One pass: float16 (N, 3, side, side) channels_last and int64 (N,)."""
        pixels, labels = [], []
        for large, classes in self.images.batches(
            batch_size, seed=derived_seed(self.seed, number), augment=True, size=self.images.side, balanced=balanced
        ):
            small = resized(large, self.side).to(torch.float16)
            self.seen(_shown(small), large)
            pixels.append(small)
            labels.append(classes)
        return torch.cat(pixels), torch.cat(labels)


def _shown(stored: Tensor) -> Tensor:
    return stored.float().contiguous(memory_format=torch.channels_last)


def affordable(count: int, images: Images, side: int, megabytes: int) -> int:
    """As many stored passes, up to ``count``, as ``megabytes`` hold; each takes 6 * ``side``^2 bytes per image."""
    return min(count, megabytes * 2**20 // (len(images) * 3 * side**2 * BYTES))
