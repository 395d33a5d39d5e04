"""The `space` group: what the two searches choose from."""

from __future__ import annotations

from dataclasses import dataclass, field

from frostnas.config.fields import bounded, listed

FOLLOWING = ("stem_channels", "stem_stride", "first_channels", "widths", "depths", "strides", "head_channels")
"""Fields of the network space that `fit` sets."""


@dataclass
class BlockSpaceConfig:
    """Candidates per slot of the block (stage 1)."""

    reuse: list[str] = listed("none", "squeeze_4", "squeeze_2")
    expand: list[int] = listed(3, 6)
    spatial: list[str] = listed("depthwise_3", "depthwise_5", "depthwise_7", "dilated_3", "max_pool_3")
    activation: list[str] = listed("relu", "relu6", "hard_swish")
    gate: list[str] = listed("none", "squeeze_excite")
    skip: list[str] = listed("none", "add")


@dataclass
class NetworkSpaceConfig:
    """Skeleton and per-layer choices (stage 2)."""

    stem_channels: int = bounded(32, 8)
    stem_stride: int = bounded(2, 1, 4)
    first_channels: int = bounded(16, 8)
    """Output of the fixed first block."""
    widths: list[int] = listed(24, 40, 80, 96, 192, 320)
    """Output channels per stage."""
    width_factors: list[float] = listed(1.0)
    """Choices that multiply the width of each stage (to a multiple of 8), one per stage and network."""
    depths: list[int] = listed(4, 4, 4, 4, 4, 1)
    """Most layers per stage; the first of a stage is never skipped."""
    strides: list[int] = listed(2, 2, 2, 1, 2, 1)
    """Stride of a stage's first layer."""
    kernels: list[int] = listed(3, 5)
    expands: list[int] = listed(3, 6)
    squeezes: list[int] = listed(2, 4)
    """Choices of the squeeze ratio where the block squeezes at all."""
    head_channels: int = bounded(1280, 8)
    dropout: float = bounded(0.2, 0, 0.9)
    fit: bool = False
    """Take stem, widths, depths, strides and head from the image size and `budget.latency_ms` instead."""


@dataclass
class SpaceConfig:
    """Both spaces; `space=[block,network]` names their files."""

    block: BlockSpaceConfig = field(default_factory=BlockSpaceConfig)
    network: NetworkSpaceConfig = field(default_factory=NetworkSpaceConfig)
    resolutions: list[int] = listed()
    """Sides of the images that a network may choose, pixels. Empty: `data.image_size` alone; without it up to five, of
    which pictures and budget decide, where there is a parent or `budget.latency_ms`."""
