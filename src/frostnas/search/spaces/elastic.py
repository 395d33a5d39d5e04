"""The space that is cut out of a network: its layers or smaller ones, its stages or shorter ones.

Depth leaves out the last layers of a stage, so that the largest network of the space is the parent itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from frostnas.artifacts import LayerSpec, NetSpec, div8
from frostnas.config import ParentConfig
from frostnas.errors import InputError
from frostnas.search.spaces.arch import Op
from frostnas.search.spaces.skeleton import Place, Skeleton, Stage


def of_parent(parent: NetSpec, config: ParentConfig, sizes: Sequence[int]) -> Skeleton:
    """The skeleton of which ``parent`` is the largest network; its first layer belongs to all.

    A stage is as many layers as keep width and size.

    Args:
        sizes: of the images that a network may see, pixels.

    Raises:
        InputError: a key of `parent` that makes no network, or a parent of one layer.
    """
    _check(config, parent)
    first, *layers = parent.layers
    stages: list[list[Place]] = []
    widths: list[int] = []
    channels = first.out_channels
    for layer in layers:
        if layer.stride > 1 or layer.out_channels != channels or not stages:
            stages.append([])
            widths.append(layer.out_channels)
        stages[-1].append(Place(layer.block, layer.stride, _ops(layer, channels, config)))
        channels = layer.out_channels
    return Skeleton(
        sizes=tuple(sorted(set(sizes))),
        stem=parent.stem,
        first=first,
        stages=tuple(
            Stage(_widths(width, places, config), tuple(places)) for width, places in zip(widths, stages, strict=True)
        ),
        head=parent.head,
    )


def _widths(width: int, places: Sequence[Place], config: ParentConfig) -> tuple[int, ...]:
    """The parent's own first, then what is smaller."""
    if any(place.block.kind == "ghost" for place in places):  # half of its channels are made of the other half
        return (width,)
    less = (div8(width * share) for share in sorted(config.widths, reverse=True))
    return tuple(dict.fromkeys([width, *(one for one in less if one < width)]))


def _ops(layer: LayerSpec, in_channels: int, config: ParentConfig) -> tuple[Op, ...]:
    """The parent's own choice first, then what is smaller."""
    block, hidden = layer.block, layer.hidden(in_channels)
    kernels, expands = [block.kernel], [block.expand]
    if block.kind != "ghost":  # half of a ghost's channels are made of the other half
        if block.spatial.startswith("depthwise_"):
            kernels += sorted((kernel for kernel in config.kernels if kernel < block.kernel), reverse=True)
        if block.expand > 1:
            widths = (div8(hidden * share) for share in sorted(config.expands, reverse=True))
            expands += [width * block.expand / hidden for width in widths if in_channels < width < hidden]
    return tuple(Op(kernel, expand, block.squeeze) for kernel in kernels for expand in dict.fromkeys(expands))


def _check(config: ParentConfig, parent: NetSpec) -> None:
    if len(parent.layers) < 2:
        raise InputError(f"parent.net={config.net}: has {len(parent.layers)} layer; expected at least 2")
    if any(kernel < 3 or kernel % 2 == 0 for kernel in config.kernels):
        raise InputError(f"parent.kernels={config.kernels}: expected odd numbers from 3, or none")
    for key, shares in (("expands", config.expands), ("widths", config.widths)):
        if not shares or not all(0 < share <= 1 for share in shares):
            raise InputError(f"parent.{key}={shares}: expected one or more shares above 0, up to 1")
