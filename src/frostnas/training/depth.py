"""Stochastic depth: residual blocks that are left out by chance while training."""

from __future__ import annotations

from frostnas.nets import Net
from frostnas.quant import Add


def set_drop_path(net: Net, rate: float) -> None:
    """Let each residual sum drop its block for a share of the images: 0 at the first layer, ``rate`` behind the last.

    The sums themselves see to it that this happens in floating-point training alone.
    """
    for index, layer in enumerate(net.layers):
        for module in layer.modules():
            if isinstance(module, Add):
                module.drop = rate * index / len(net.layers)
