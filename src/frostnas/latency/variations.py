"""Other networks of one network's parts, to calibrate and check a table of that network alone."""

from __future__ import annotations

import random
from dataclasses import replace

from frostnas.artifacts import LayerSpec, NetSpec
from frostnas.errors import InputError

MOST = 2  # copies of a layer


def vary(net: NetSpec, rng: random.Random) -> NetSpec:
    """The network with every layer that keeps its input's shape left out, kept or doubled, by chance.

    Raises:
        InputError: no layer keeps its shape, or only one, which makes no variety.
    """
    channels = [net.stem.channels, *(layer.out_channels for layer in net.layers)]
    keeps = [
        layer.stride == 1 and layer.out_channels == before for layer, before in zip(net.layers, channels, strict=False)
    ]
    if sum(keeps) < 2:
        raise InputError(
            f"net={net.name}: fewer than two layers keep their shape, so no other networks can be made of its parts to "
            "check predictions on; profile a space that holds it instead"
        )
    layers: list[LayerSpec] = []
    for layer, kept in zip(net.layers, keeps, strict=True):
        layers += [layer] * (rng.randint(0, MOST) if kept else 1)
    return replace(net, layers=tuple(layers))
