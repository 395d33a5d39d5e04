"""What a split is to the stages that train and evaluate: labels, subsets, batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from frostnas.artifacts import ImageFormat, SplitRecord

Part = tuple[int, int]
WHOLE: Part = (0, 1)
Batch = tuple[Tensor, Tensor]
"""Normalised images float32 (B, 3, S, S) channels_last and labels int64 (B,), both on the device."""


class Images(Protocol):
    """Labelled images of one split."""

    @property
    def labels(self) -> Tensor:
        """int64 (N,), on the device."""
        ...

    @property
    def side(self) -> int:
        """Of the largest batches that the pictures have the detail of, pixels; at least that of the format."""
        ...

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor) -> Images:
        """The images at ``indices``, int64 (M,)."""
        ...

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
        """One pass over the images.

        Args:
            seed: None gives the images in their own order, with the last partial batch. A number gives the order,
                and the augmentation, that belong to it; a last partial batch is dropped unless it is the only one.
            augment: apply the data set's augmentation.
            skip: leave out that many batches; those that follow are the ones of an unskipped pass.
            part: (rank, size) gives one of ``size`` equal parts of every batch, for processes that share it; the
                images of all parts are those, and augmented as those, of the whole.
            size: side of the images, at most `side`; None for that of the format. Images in memory are augmented at
                the side that they are kept at, and then resized.
            balanced: with a seed: as many images as there are, but of every class equally many.
        """
        ...


@dataclass(frozen=True)
class Splits:
    """A data set, ready to train on: what its images look like, what was held out, and the three splits."""

    format: ImageFormat
    record: SplitRecord
    train: Images
    val: Images
    test: Images
    notes: tuple[str, ...] = ()
    """What a user should hear of the data once, a sentence each."""


def batch_count(images: int, batch_size: int, *, shuffled: bool) -> int:
    """Batches that `Images.batches` gives in one pass without ``skip``."""
    return max(1, images // batch_size) if shuffled else -(-images // batch_size)


def batch_indices(images: int, batch_size: int, seed: int | None, classes: Tensor | None = None) -> list[Tensor]:
    """The positions, int64 (B,) on the CPU, of every batch of one pass, as `Images.batches` orders them.

    Args:
        classes: of all images, int64 (N,), to draw every class equally often; None draws every image once.
    """
    order = torch.arange(images)
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(images, generator=generator) if classes is None else balanced_order(classes, generator)
    count = batch_count(images, batch_size, shuffled=seed is not None)
    return [order[number * batch_size : (number + 1) * batch_size] for number in range(count)]


def balanced_order(classes: Tensor, generator: torch.Generator) -> Tensor:
    """N positions int64 (N,) in random order: of every class equally many, give or take one; of a class, likewise."""
    classes = classes.cpu()
    names = torch.unique(classes)
    names = names[torch.randperm(len(names), generator=generator)]  # that the odd ones go to others each time
    drawn = []
    for place, name in enumerate(names):
        members = torch.nonzero(classes == name).flatten()
        wanted = len(classes) // len(names) + (place < len(classes) % len(names))
        rounds = -(-wanted // len(members))
        drawn.append(
            torch.cat([members[torch.randperm(len(members), generator=generator)] for _ in range(rounds)])[:wanted]
        )
    order = torch.cat(drawn)
    return order[torch.randperm(len(order), generator=generator)]


def slots_of(batch: int, part: Part) -> range:
    """Which slots of a batch of ``batch`` images are ``part``'s."""
    rank, size = part
    return range(rank, batch // size * size, size)


def derived_seed(seed: int, *path: int) -> int:
    """A seed of its own for a part of what ``seed`` belongs to, such as an epoch, a batch or an image."""
    return int(np.random.SeedSequence((seed, *path)).generate_state(1, np.uint64)[0] >> 1)
