"""Images too many for memory, read and augmented by loader processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from frostnas.artifacts import ImageFormat
from frostnas.config import AugmentConfig
from frostnas.data.augment import erase_batch
from frostnas.data.images import WHOLE, Batch, Part, batch_indices, derived_seed, slots_of
from frostnas.data.normalise import Normalise
from frostnas.data.operations import RandAugment
from frostnas.data.pictures import PictureError, Pictures
from frostnas.picture import Bytes, fit
from frostnas.resize import resized


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
    side: int
    """Of the pictures as they are augmented, pixels."""

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> StreamedImages:
        where = indices.cpu()
        return replace(self, indices=self.indices[where], labels=self.labels[where.to(self.labels.device)])

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
        device = self.labels.device
        normalise = Normalise(self.format, device)
        plan = batch_indices(len(self), batch_size, seed, self.labels if balanced else None)[skip:]
        seeds = [derived_seed(seed or 0, number) for number in range(skip, skip + len(plan))]
        requests = [
            [(int(self.indices[batch[slot]]), derived_seed(own, slot)) for slot in slots_of(len(batch), part)]
            for batch, own in zip(plan, seeds, strict=True)
        ]
        loader = DataLoader(
            _Prepared(self.pictures, self.side, self.augment if augment else None),
            batch_sampler=requests,
            num_workers=self.workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator().manual_seed(0),  # or the loader would draw from the global generator
        )
        for pixels, batch, own in zip(_in_one_line(loader), plan, seeds, strict=True):
            slots = list(slots_of(len(batch), part))
            values = pixels.to(device, non_blocking=True).float().div_(255)
            if augment:
                noise = torch.rand(6, len(batch), generator=torch.Generator().manual_seed(own))[:, slots]
                values = erase_batch(values, self.augment, noise)
            yield normalise(resized(values, size or self.format.image_size)), self.labels[batch[slots].to(device)]


class LoaderError(RuntimeError):
    """A loader process died or could not do its work; one line says why, without its traceback."""


def _in_one_line(loader: DataLoader[Tensor]) -> Iterator[Tensor]:
    try:
        yield from _started(loader)
    except Exception as error:  # of a loader process: its own class, with the traceback as its text
        kind = type(error)
        reason = (str(error).strip().splitlines() or [kind.__name__])[-1]
        if isinstance(error, EOFError | ConnectionError):  # what is seen of a death before the death is
            reason = "a loader process ended"
        if kind is PictureError:
            raise PictureError(reason.removeprefix(f"{kind.__module__}.{kind.__name__}: ")) from None
        raise LoaderError(
            f"{reason.strip()}; memory or /dev/shm may be full, and data.workers=0 reads in this process alone"
        ) from None


def _started(loader: DataLoader[Tensor]) -> Iterator[Tensor]:
    """The loader's batches, without torch's handler that raises a process's death wherever the main thread is then.

    Waiting for a batch finds the death as well, within seconds.
    """
    if threading.current_thread() is not threading.main_thread():
        return iter(loader)
    before = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    signal.signal(signal.SIGCHLD, before)
    return batches


class _Prepared(Dataset[Tensor]):
    """Asked with (index, seed), gives uint8 (3, S, S)."""

    def __init__(self, pictures: Pictures, size: int, augment: AugmentConfig | None) -> None:
        self.pictures, self.size = pictures, size
        self.square = augment is None or augment.crop >= 1  # as in evaluation; else a random part becomes the square
        self.transform = picture_transform(augment, size) if augment is not None else None

    def __getitem__(self, request: tuple[int, int]) -> Tensor:
        index, seed = request
        picture = self.pictures.picture(index)
        if self.square:
            picture = np.array(fit(picture, self.size))
        if self.transform is None:
            return _tensor(picture)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.transform(_tensor(picture))


def _tensor(picture: Bytes) -> Tensor:
    """uint8 (H, W, 3) as (3, H, W), in the same memory."""
    return torch.from_numpy(picture).permute(2, 0, 1)


def picture_transform(augment: AugmentConfig, size: int) -> Callable[[Tensor], Tensor]:
    """Random view of one picture, which is a square already unless parts are cropped: uint8 (3, H, W) -> (3, S, S)."""
    steps: list[Callable[[Tensor], Tensor]] = []
    if augment.crop < 1:
        steps.append(v2.RandomResizedCrop(size, scale=(augment.crop, 1.0), antialias=True))
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
    if augment.randaugment:
        steps.append(RandAugment(augment).draw)
    return v2.Compose(steps) if steps else lambda picture: picture
