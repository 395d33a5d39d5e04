"""Accuracy of a live network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn


class Labelled(Protocol):
    """What evaluation needs of a split; `frostnas.data.Images` is one."""

    def __len__(self) -> int: ...

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]: ...


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients inside the block, the former mode after it."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def standard_error(top1: float, images: int) -> float:
    """Of an accuracy on so many images, as a fraction."""
    return math.sqrt(top1 * (1 - top1) / images)


def predict(model: nn.Module, images: Labelled, batch_size: int = 256) -> Tensor:
    """Logits float32 (N, classes) of every image in order, in the quantizers' present state."""
    with evaluating(model):
        return torch.cat([model(pixels) for pixels, _ in images.batches(batch_size)])


def evaluate(model: nn.Module, images: Labelled, batch_size: int = 256) -> float:
    """Top-1 as a fraction, in the quantizers' present state; in `FAKE` and `FROZEN` that of the exported arithmetic."""
    with evaluating(model):
        hits = [(model(pixels).argmax(1) == labels).sum() for pixels, labels in images.batches(batch_size)]
    return int(torch.stack(hits).sum()) / len(images)
