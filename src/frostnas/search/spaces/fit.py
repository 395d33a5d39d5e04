"""A skeleton of the network space that fits the images: `space.network.fit`.

MobileNetV2 is the yardstick: it is what one would deploy otherwise. At every size from 24 to 256 pixels the fastest
network of the fitted space has 0.2 to 0.3 times its multiply-adds, the slowest 2 to 3 times, so that budgets on both
sides of it are met; its first and most expensive maps are halved at once, and the last map has 4 to 7 pixels a side.
"""

from __future__ import annotations

from dataclasses import replace

from frostnas.config import NetworkSpaceConfig

LAST_MAP = 7  # pixels a side, at most; half of it and a pixel at least
WIDTHS = (24, 40, 80, 160)
DEEP, FLAT = 4, 3  # most layers of a stage
FEW_STAGES = 3
"""Up to so many stages need the greater depth to reach twice MobileNetV2."""


def halvings(image_size: int) -> int:
    """Strides of 2 until the map has at most `LAST_MAP` pixels a side."""
    count, side = 0, image_size
    while side > LAST_MAP:
        count, side = count + 1, -(-side // 2)
    return count


def fitted(config: NetworkSpaceConfig, image_size: int) -> NetworkSpaceConfig:
    """``config`` as it is, or, with `fit`, with a skeleton for images of ``image_size`` pixels a side.

    The stem takes one halving, each further one begins a stage, and one stage more works on the last map.
    """
    if not config.fit:
        return config
    stages = max(1, halvings(image_size) - 1)
    widths = [WIDTHS[min(stage, len(WIDTHS) - 1)] for stage in range(stages + 1)]
    return replace(
        config,
        fit=False,
        stem_channels=16,
        stem_stride=2,
        first_channels=16,
        widths=widths,
        depths=[DEEP if len(widths) <= FEW_STAGES else FLAT] * len(widths),
        strides=[*[2] * stages, 1],
        head_channels=512,
    )
