"""Distillation: the network learns a trained one's probabilities besides the labels (Hinton et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.artifacts import ImageFormat, Normalisation
from frostnas.config import AugmentConfig, DistillConfig
from frostnas.resize import resized


@dataclass(frozen=True, slots=True)
class View:
    """What a network expects of a picture."""

    normalisation: Normalisation
    size: int
    """Side of its input, pixels."""
    crop: float = 1.0
    """Share of the picture's side that it sees, in the middle."""


class Teacher(nn.Module):
    """A trained network behind its own view of a batch: normalised pixels (B, 3, R, R) -> logits (B, classes)."""

    gain: Tensor
    offset: Tensor

    def __init__(self, net: nn.Module, view: View, images: ImageFormat) -> None:
        """Args: view: that ``net`` was trained with. images: whose normalisation the pixels come in."""
        super().__init__()
        self.net, self.view = net, view
        mean, std = (
            torch.tensor(value, dtype=torch.float64) for value in (view.normalisation.mean, view.normalisation.std)
        )
        pixels_mean, pixels_std = (torch.tensor(value, dtype=torch.float64) for value in (images.mean, images.std))
        self.register_buffer("gain", (pixels_std / std).float().view(3, 1, 1))
        self.register_buffer("offset", ((pixels_mean - mean) / std).float().view(3, 1, 1))
        self.register_buffer("seen", torch.tensor([view.size, view.crop]))  # a part of what makes teachers the same

    def forward(self, pixels: Tensor) -> Tensor:
        seen = resized(_middle(pixels, self.view.crop), self.view.size)
        return self.net(seen * self.gain + self.offset)  # type: ignore[no-any-return]


def _middle(pixels: Tensor, share: float) -> Tensor:
    """The central square (B, 3, S, S) of ``share`` of the side."""
    side = pixels.shape[-1]
    kept = max(1, round(side * share))
    begin = (side - kept) // 2
    return pixels[..., begin : begin + kept, begin : begin + kept]


class Remembering(nn.Module):
    """A teacher that is asked once for each image: it knows one that it has seen by a hash of its pixels.

    Worth it where the same pixels come again: without augmentation, with mirroring alone, or out of stored views.
    """

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher
        self.known: dict[int, Tensor] = {}

    def forward(self, pixels: Tensor) -> Tensor:
        keys = image_hashes(pixels).tolist()
        fresh = [index for index, key in enumerate(keys) if key not in self.known]
        if fresh:
            said = self.teacher(pixels[fresh])
            self.known |= {keys[index]: logits for index, logits in zip(fresh, said, strict=True)}
        return torch.stack([self.known[key] for key in keys])

    def learn(self, shown: Tensor, pixels: Tensor) -> None:
        """What the teacher says of ``pixels`` (B, 3, R, R) is what it says of ``shown`` (B, 3, S, S) from now on."""
        self.known |= dict(zip(image_hashes(shown).tolist(), answers(self.teacher, pixels), strict=True))


def image_hashes(pixels: Tensor) -> Tensor:
    """float32 (B, 3, S, S) -> int64 (B,): sums of the values' bits by random odd factors, modulo 2^64."""
    bits = pixels.contiguous().flatten(1).view(torch.int32).long()  # (B, 3 * S * S)
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (bits.shape[1],), generator=generator) * 2 + 1
    return (bits * factors.to(bits.device)).sum(1)


def repeats_pixels(augment: AugmentConfig, mixed: bool) -> bool:
    """Whether training shows the same pixels again: nothing but mirroring changes them."""
    moved = augment.shift or augment.rotate or augment.scale or augment.crop < 1
    return not (moved or augment.randaugment or augment.erase or mixed)


@dataclass(frozen=True)
class Lesson:
    """A teacher, and how much of it a network learns."""

    teacher: nn.Module
    config: DistillConfig


def answers(teacher: nn.Module, pixels: Tensor) -> Tensor:
    """What a teacher in evaluation mode says of pixels (B, 3, R, R), as the student's were before they were resized for
    it: logits float32 (B, classes)."""
    with torch.no_grad():
        return teacher(pixels).float()  # type: ignore[no-any-return]


def distilled(loss: Tensor, logits: Tensor, taught: Tensor, config: DistillConfig) -> Tensor:
    """``loss`` mixed with the divergence from the teacher on the same images, float32 ().

    With temperature T it is ``T^2 * KL(teacher / T || student / T)``, whose gradient keeps its size whatever T is.

    Args:
        loss: on the labels, float32 ().
        logits: of the student, float32 (B, classes).
        taught: of the teacher, as `answers` gives them.
    """
    wanted = F.log_softmax(taught / config.temperature, 1)
    said = F.log_softmax(logits / config.temperature, 1)
    divergence = F.kl_div(said, wanted, reduction="batchmean", log_target=True) * config.temperature**2
    return torch.lerp(loss, divergence, config.weight)
