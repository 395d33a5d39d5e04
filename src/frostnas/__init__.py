"""Quantization-aware neural architecture search for INT8 networks.

The public names below are loaded on first use: importing the package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from frostnas.version import __version__

if TYPE_CHECKING:
    from frostnas.artifacts import (
        BlockResult,
        BlockSpec,
        ExportReport,
        HeadSpec,
        LatencyTable,
        LayerSpec,
        NetResult,
        NetSpec,
        StemSpec,
        TrainResult,
        load,
    )
    from frostnas.errors import InputError
    from frostnas.nets import Net, create_model, load_weights

_HOMES = {
    "frostnas.artifacts": (
        "BlockResult",
        "BlockSpec",
        "ExportReport",
        "HeadSpec",
        "LatencyTable",
        "LayerSpec",
        "NetResult",
        "NetSpec",
        "StemSpec",
        "TrainResult",
        "load",
    ),
    "frostnas.errors": ("InputError",),
    "frostnas.nets": ("Net", "create_model", "load_weights"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BlockResult",
    "BlockSpec",
    "ExportReport",
    "HeadSpec",
    "InputError",
    "LatencyTable",
    "LayerSpec",
    "Net",
    "NetResult",
    "NetSpec",
    "StemSpec",
    "TrainResult",
    "__version__",
    "create_model",
    "load",
    "load_weights",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'frostnas' has no attribute '{name}'")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
