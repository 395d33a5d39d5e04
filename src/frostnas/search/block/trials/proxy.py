"""The proxy network: a few layers of one block, small enough to train many times."""

from __future__ import annotations

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.config import ProxyConfig
from frostnas.errors import InputError


def check_proxy(proxy: ProxyConfig) -> None:
    """Raise InputError unless the per-stage lists fit together."""
    for name in ("depths", "strides"):
        values = getattr(proxy, name)
        if len(values) != len(proxy.widths):
            raise InputError(
                f"search_block.proxy.{name}={values}: expected {len(proxy.widths)} numbers, one per stage as in widths"
            )
    for name, low in (("widths", 8), ("depths", 1), ("strides", 1)):
        if any(value < low for value in getattr(proxy, name)) or not proxy.widths:
            raise InputError(f"search_block.proxy.{name}={getattr(proxy, name)}: expected numbers from {low}")


def proxy_spec(proxy: ProxyConfig, block: BlockSpec, image_size: int, classes: int, name: str = "proxy") -> NetSpec:
    """The proxy network with ``block`` in every layer."""
    layers = [
        LayerSpec(block, width, stride if number == 0 else 1)
        for width, depth, stride in zip(proxy.widths, proxy.depths, proxy.strides, strict=True)
        for number in range(depth)
    ]
    stem = StemSpec(proxy.stem_channels, proxy.stem_stride)
    head = HeadSpec(proxy.head_channels, classes=classes, dropout=0.0)
    return NetSpec(name, image_size, stem, tuple(layers), head)
