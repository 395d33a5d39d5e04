"""What every network of a space has in common, and what may be chosen where: a skeleton as a value.

`from_scratch` draws one by `space.network`; `frostnas.search.spaces.elastic` one that a trained network fits into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, StemSpec, div8
from frostnas.config import NetworkSpaceConfig
from frostnas.errors import InputError
from frostnas.search.spaces.arch import Op


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer may be: what it has there in any case, and what it may choose."""

    block: BlockSpec
    stride: int
    ops: tuple[Op, ...]

    def layer(self, op: Op, width: int) -> LayerSpec:
        """The layer with its choices; a slot that the block does not have stays as it is."""
        return LayerSpec(_with(self.block, op), width, self.stride)


@dataclass(frozen=True, slots=True)
class Stage:
    """Layers of one width, of which the last may be left out."""

    widths: tuple[int, ...]
    """Choices of its output channels."""
    places: tuple[Place, ...]

    @property
    def stride(self) -> int:
        """Of its first layer; the others keep the size."""
        return self.places[0].stride


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Stem, first block and head belong to all networks."""

    sizes: tuple[int, ...]
    """Choices of the images' side, pixels, rising."""
    stem: StemSpec
    first: LayerSpec
    stages: tuple[Stage, ...]
    head: HeadSpec


def from_scratch(config: NetworkSpaceConfig, block: BlockSpec, sizes: Sequence[int], classes: int) -> Skeleton:
    """The skeleton of `space.network` for a block.

    Args:
        sizes: of the images that a network may see, pixels.

    Raises:
        InputError: a key of `space.network` that makes no network.
    """
    check_skeleton(config)
    kernels = config.kernels if block.spatial.startswith("depthwise_") else [block.kernel]
    squeezes = config.squeezes if block.squeeze else [0]
    ops = tuple(dict.fromkeys(Op(k, e, r) for k in kernels for e in config.expands for r in squeezes))
    stages = []
    for width, depth, stride in zip(config.widths, config.depths, config.strides, strict=True):
        widths = tuple(dict.fromkeys(div8(width * factor) for factor in config.width_factors))
        stages.append(Stage(widths, tuple(Place(block, one, ops) for one in [stride, *[1] * (depth - 1)])))
    return Skeleton(
        sizes=tuple(sorted(set(sizes))),
        stem=StemSpec(config.stem_channels, config.stem_stride),
        first=LayerSpec(_with(block, Op(3, 1, block.squeeze)), config.first_channels, 1),
        stages=tuple(stages),
        head=HeadSpec(config.head_channels, classes=classes, dropout=config.dropout),
    )


def _with(block: BlockSpec, op: Op) -> BlockSpec:
    block = replace(block, expand=op.expand)
    if block.spatial.startswith("depthwise_"):
        block = replace(block, spatial=f"depthwise_{op.kernel}")
    return replace(block, reuse=f"squeeze_{op.squeeze}") if block.squeeze else block


def check_skeleton(config: NetworkSpaceConfig) -> None:
    """Refuse a skeleton that makes no network.

    Raises:
        InputError: lists of unequal length or empty, or a value out of range.
    """
    stages = len(config.widths)
    for key in ("widths", "depths", "strides"):
        values: list[int] = getattr(config, key)
        if not values or len(values) != stages:
            raise InputError(f"space.network.{key}={values}: expected one per stage, as many as widths ({stages})")
    _each("widths", config.widths, 8, 4096)
    _each("depths", config.depths, 1, 64)
    _each("strides", config.strides, 1, 4)
    _each("kernels", config.kernels, 3, 7)
    _each("expands", config.expands, 1, 16)
    _each("squeezes", config.squeezes, 1, 64)
    _each("width_factors", config.width_factors, 0.1, 4)
    for kernel in config.kernels:
        if kernel % 2 == 0:
            raise InputError(f"space.network.kernels={config.kernels}: expected some of 3, 5, 7")


def _each(key: str, values: Sequence[float], low: float, high: float) -> None:
    if not values or not all(low <= value <= high for value in values):
        raise InputError(f"space.network.{key}={values}: expected one or more numbers from {low} to {high}")
