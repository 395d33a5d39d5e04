"""Accuracy of a block inside the supernet, with the supernet's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from frostnas.data import Images
from frostnas.quant import ActivationQuantizer, QuantState, set_state
from frostnas.search.block.supernet.mixture import Mixture
from frostnas.search.block.supernet.net import MixedSupernet

BATCH = 256
ORDER = 0  # a fixed shuffle: batch norm takes each batch's statistics, and images may come sorted by class


@contextmanager
def at_rest(supernet: MixedSupernet) -> Iterator[None]:
    """No range moves inside the block, and no gradient is kept."""
    states = {module: module.state for module in supernet.modules() if isinstance(module, ActivationQuantizer)}
    rounding = next(iter(states.values())).quantizes
    set_state(supernet, QuantState.FROZEN if rounding else QuantState.FLOAT)
    try:
        with torch.no_grad():
            yield
    finally:
        for module, state in states.items():
            module.state = state
        supernet.train()


def top1_inside(supernet: MixedSupernet, mixture: Mixture, images: Images) -> float:
    """Top-1 as a fraction."""
    with at_rest(supernet):
        hits, seen = 0, 0
        for pixels, labels in images.batches(BATCH, seed=ORDER):
            hits += int((supernet(pixels, mixture).argmax(1) == labels).sum())
            seen += len(labels)
    return hits / seen
