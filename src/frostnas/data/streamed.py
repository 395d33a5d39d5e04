"""Images too many for memory, read and augmented by loader processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from frostnas.artifacts import ImageFormat
from frostnas.config import AugmentConfig
from frostnas.data.images import Batch, batch_indices, derived_seed
from frostnas.data.pictures import Pictures, fit


@dataclass(frozen=True)
class StreamedImages:
    """`Images` over pictures that stay where they are.

    indices: int64 (N,) into ``pictures``. labels: int64 (N,) on the device that batches are wanted on.
    """

    pictures: Pictures
    indices: Tensor
    labels: Tensor
    format: ImageFormat
    augment: AugmentConfig
    workers: int

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> StreamedImages:
        where = indices.cpu()
        return replace(self, indices=self.indices[where], labels=self.labels[where.to(self.labels.device)])

    def batches(
        self, batch_size: int, *, seed: int | None = None, augment: bool = False, skip: int = 0
    ) -> Iterator[Batch]:
        device = self.labels.device
        mean = torch.tensor(self.format.mean, device=device).view(3, 1, 1)
        std = torch.tensor(self.format.std, device=device).view(3, 1, 1)
        plan = batch_indices(len(self), batch_size, seed)
        requests = [
            [(int(self.indices[one]), derived_seed(seed or 0, number, slot)) for slot, one in enumerate(plan[number])]
            for number in range(skip, len(plan))
        ]
        loader = DataLoader(
            _Prepared(self.pictures, self.format.image_size, self.augment if augment else None),
            batch_sampler=requests,
            num_workers=self.workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator().manual_seed(0),  # or the loader would draw from the global generator
        )
        for number, pixels in enumerate(loader, start=skip):
            ready = pixels.to(device, non_blocking=True).float().div_(255).sub_(mean).div_(std)
            yield ready.contiguous(memory_format=torch.channels_last), self.labels[plan[number].to(device)]


class _Prepared(Dataset[Tensor]):
    """Asked with (index, seed), gives uint8 (3, S, S)."""

    def __init__(self, pictures: Pictures, size: int, augment: AugmentConfig | None) -> None:
        self.pictures, self.size = pictures, size
        self.transform = picture_transform(augment, size) if augment is not None else None

    def __getitem__(self, request: tuple[int, int]) -> Tensor:
        index, seed = request
        picture = self.pictures.picture(index)
        if self.transform is None:
            return fit(picture, self.size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.transform(picture)  # type: ignore[no-any-return]


def picture_transform(augment: AugmentConfig, size: int) -> v2.Transform:
    """Random view of one picture: uint8 (3, H, W) -> uint8 (3, S, S)."""
    steps: list[v2.Transform] = []
    if augment.crop < 1:
        steps.append(v2.RandomResizedCrop(size, scale=(augment.crop, 1.0), antialias=True))
    else:
        steps += [v2.Resize(size, antialias=True), v2.CenterCrop(size)]
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip())
    if augment.shift or augment.rotate or augment.scale:
        steps.append(
            v2.RandomAffine(
                degrees=augment.rotate,
                translate=(augment.shift, augment.shift),
                scale=(1 - augment.scale, 1 + augment.scale),
                interpolation=v2.InterpolationMode.BILINEAR,
            )
        )
    return v2.Compose(steps)
