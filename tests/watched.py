"""Images that note what they are asked for, and end the run of whoever asks for too much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from frostnas.data import Images
from frostnas.data.images import Batch


class Killed(Exception):
    """Stands for kill -9: nothing of the run's own clean-up may be needed."""


class Watched:
    """Images that keep every batch that they gave; their subsets are watched too."""

    def __init__(self, images: Images, lives: int | list[None] | None = None, *, counts: bool = True) -> None:
        """Args: lives: batches that they and their subsets may give together; None for any number.
        counts: False where only the subsets' count.
        """
        self.images, self.counts = images, counts
        self.lives = [None] * lives if isinstance(lives, int) else lives
        self.corrupt: set[int] = set()
        """Numbers of the batches, from 0, whose pixels are no numbers."""
        self.seen: list[Batch] = []
        self.parts: list[Watched] = []

    @property
    def labels(self) -> Tensor:
        return self.images.labels

    @property
    def side(self) -> int:
        return self.images.side

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Tensor) -> Watched:
        self.parts.append(Watched(self.images.subset(indices), self.lives))
        return self.parts[-1]

    def batches(self, batch_size: int, **how: Any) -> Iterator[Batch]:
        for batch in self.images.batches(batch_size, **how):
            if self.lives is not None and self.counts:
                if not self.lives:
                    raise Killed
                self.lives.pop()
            if len(self.seen) in self.corrupt:
                batch = (batch[0] * torch.nan, batch[1])
            self.seen.append(batch)
            yield batch
