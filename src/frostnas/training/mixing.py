"""What happens to a whole batch before the network sees it: mixing images, growing their size."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torchvision.transforms import v2

from frostnas.config import TrainConfig

Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def make_mixer(config: TrainConfig, classes: int) -> Mixer:
    """(images, labels int64 (B,)) -> (images, targets): mixup, cutmix, one of both by turns of chance, or neither.

    Mixed targets are probabilities float32 (B, classes). Both draw from the global generator.
    """
    ways: list[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = []
    if config.mixup:
        ways.append(v2.MixUp(alpha=config.mixup, num_classes=classes))
    if config.cutmix:
        ways.append(v2.CutMix(alpha=config.cutmix, num_classes=classes))
    if not ways:
        return lambda pixels, labels: (pixels, labels)
    return v2.RandomChoice(ways)  # type: ignore[no-any-return]


def grown_size(size: int, begin: float, progress: float) -> int:
    """Image side at ``progress`` (0..1) of a schedule: from ``begin`` times ``size`` to all of it at the half."""
    share = begin + (1 - begin) * min(1.0, 2 * progress)
    return size if share >= 1 else min(size, max(8, round(size * share / 8) * 8))
