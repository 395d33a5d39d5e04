"""Distillation: the network learns a trained one's probabilities besides the labels (Hinton et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.artifacts import ImageFormat, Normalisation
from frostnas.config import DistillConfig


class Teacher(nn.Module):
    """A trained network behind its own normalisation: the student's pixels (B, 3, S, S) -> logits (B, classes)."""

    gain: Tensor
    offset: Tensor

    def __init__(self, net: nn.Module, own: Normalisation, images: ImageFormat) -> None:
        """Args: own: that ``net`` was trained with. images: whose normalisation the pixels come in."""
        super().__init__()
        self.net = net
        mean, std = (torch.tensor(value, dtype=torch.float64) for value in (own.mean, own.std))
        pixels_mean, pixels_std = (torch.tensor(value, dtype=torch.float64) for value in (images.mean, images.std))
        self.register_buffer("gain", (pixels_std / std).float().view(3, 1, 1))
        self.register_buffer("offset", ((pixels_mean - mean) / std).float().view(3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.net(pixels * self.gain + self.offset)  # type: ignore[no-any-return]


def distilled(loss: Tensor, logits: Tensor, teacher: nn.Module, pixels: Tensor, config: DistillConfig) -> Tensor:
    """``loss`` mixed with the divergence from the teacher on the same images, float32 ().

    With temperature T it is ``T^2 * KL(teacher / T || student / T)``, whose gradient keeps its size whatever T is.

    Args:
        loss: on the labels, float32 ().
        logits: of the student, float32 (B, classes).
        teacher: in evaluation mode, on the device of ``pixels``.
        pixels: float32 (B, 3, S, S).
    """
    with torch.no_grad():
        wanted = F.log_softmax(teacher(pixels).float() / config.temperature, 1)
    said = F.log_softmax(logits / config.temperature, 1)
    divergence = F.kl_div(said, wanted, reduction="batchmean", log_target=True) * config.temperature**2
    return torch.lerp(loss, divergence, config.weight)
