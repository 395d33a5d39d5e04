"""Classes with unequal numbers of images: weights in the loss, and what always naming the largest class would score."""

from __future__ import annotations

import torch
from torch import Tensor

from frostnas.artifacts import Accuracy
from frostnas.config import ClassWeights, TrainConfig
from frostnas.data import Splits


def class_weights(config: TrainConfig, labels: Tensor, classes: int) -> Tensor | None:
    """Weights float32 (classes,) of the training images int64 (N,), 1 on average over them; None for equal ones."""
    if config.class_weights is ClassWeights.none:
        return None
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (classes * counts.clamp(min=1)).float()


def guessing_doubt(reached: Accuracy, data: Splits) -> str | None:
    """What to say of a network whose accuracy on the test split a constant answer has too; None if it is better."""
    largest = int(torch.bincount(data.train.labels).argmax())
    share = float((data.test.labels == largest).float().mean())
    if reached.test > share:
        return None
    return (
        f"top-1 of {reached.test:.2%} on the test split is no better than always answering "
        f"{data.format.classes[largest]}, the largest class ({share:.2%})"
    )
