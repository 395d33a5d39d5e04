"""A skeleton of the network space that fits the images and the budget: `space.network.fit`.

MobileNetV2 is the yardstick: it is what one would deploy otherwise. At every size from 24 to 256 pixels the fastest
network of the fitted space has at most a third of its multiply-adds, the slowest more than twice as many, so that
budgets on both sides of it are met; its first and most expensive maps are halved at once, and the last map has 4 to 7
pixels a side.
"""

from __future__ import annotations

from dataclasses import replace

from frostnas.artifacts import div8
from frostnas.config import NetworkSpaceConfig, ProxyConfig

LAST_MAP = 7  # pixels a side, at most; half of it and a pixel at least
WIDTHS = (24, 40, 80, 160)
DEEP, FLAT = 5, 4  # most layers of a stage
FEW_STAGES = 3
"""Up to so many stages need the greater depth to reach twice MobileNetV2."""
LARGE = 80
"""Pixels a side from which on the block search's proxy network halves its maps once more."""
LEAST, MOST = 0.25, 4.0
"""Factors of all widths that are tried for a budget which the skeleton does not hold."""


def halvings(image_size: int) -> int:
    """Strides of 2 until the map has at most `LAST_MAP` pixels a side."""
    count, side = 0, image_size
    while side > LAST_MAP:
        count, side = count + 1, -(-side // 2)
    return count


def fitted(config: NetworkSpaceConfig, image_size: int, factor: float = 1.0) -> NetworkSpaceConfig:
    """``config`` as it is, or, with `fit`, with a skeleton for images of ``image_size`` pixels a side.

    The stem takes one halving, each further one begins a stage, and one stage more works on the last map.

    Args:
        factor: of all widths.
    """
    if not config.fit:
        return config
    stages = max(1, halvings(image_size) - 1)
    widths = [div8(WIDTHS[min(stage, len(WIDTHS) - 1)] * factor) for stage in range(stages + 1)]
    return replace(
        config,
        fit=False,
        stem_channels=div8(16 * factor),
        stem_stride=2,
        first_channels=div8(16 * factor),
        widths=widths,
        depths=[DEEP if len(widths) <= FEW_STAGES else FLAT] * len(widths),
        strides=[*[2] * stages, 1],
        head_channels=div8(512 * factor),
    )


def fitted_proxy(config: ProxyConfig, image_size: int) -> ProxyConfig:
    """The block search's proxy network for larger images, unless it is one of the user's own: a stem of stride 4.

    So it works on maps of the sides that it has for half the pixels, for a quarter of the time.
    """
    return replace(config, stem_stride=4) if image_size > LARGE and config == ProxyConfig() else config


def skeleton_text(config: NetworkSpaceConfig) -> str:
    """A skeleton in words, for a log line."""
    stages = zip(config.widths, config.depths, config.strides, strict=True)
    parts = ", ".join(f"{width} channels, stride {stride}, 1 to {depth} layers" for width, depth, stride in stages)
    return f"stem {config.stem_channels} channels, stride {config.stem_stride}; stages {parts}"
