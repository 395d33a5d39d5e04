"""Distillation: the network learns a trained one's probabilities besides the labels (Hinton et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.config import DistillConfig


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
