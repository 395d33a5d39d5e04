"""Data sets as splits of batches on a device, and the test split alone as pictures for machines without torch.

The public names below are loaded on first use: they need torch, and `frostnas.data.held_out` does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frostnas.data.images import Images, Splits, batch_count, batch_indices, derived_seed
    from frostnas.data.loaders import load

_HOME_OF = {
    "Images": "images",
    "Splits": "images",
    "batch_count": "images",
    "batch_indices": "images",
    "derived_seed": "images",
    "load": "loaders",
}

__all__ = ["Images", "Splits", "batch_count", "batch_indices", "derived_seed", "load"]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'frostnas.data' has no attribute '{name}'")
    return getattr(import_module(f"frostnas.data.{_HOME_OF[name]}"), name)
