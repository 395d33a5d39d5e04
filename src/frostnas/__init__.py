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
        Evaluation,
        ExportReport,
        HeadSpec,
        LadderResult,
        LatencyTable,
        LayerSpec,
        NetResult,
        NetSpec,
        StemSpec,
        TrainResult,
        load,
    )
    from frostnas.config import Config
    from frostnas.config.compose import compose_config
    from frostnas.deploy.loaded import Int8Model, load_int8
    from frostnas.errors import InputError
    from frostnas.evaluation.evaluate import evaluate
    from frostnas.nets import Net, create_model, load_weights
    from frostnas.pipeline.functions import export, ladder, profile_latency, run, search_block, search_net, train
    from frostnas.report.grids import RunSummary

_HOMES = {
    "frostnas.artifacts": (
        "BlockResult",
        "BlockSpec",
        "Evaluation",
        "ExportReport",
        "HeadSpec",
        "LadderResult",
        "LatencyTable",
        "LayerSpec",
        "NetResult",
        "NetSpec",
        "StemSpec",
        "TrainResult",
        "load",
    ),
    "frostnas.config": ("Config",),
    "frostnas.config.compose": ("compose_config",),
    "frostnas.deploy.loaded": ("Int8Model", "load_int8"),
    "frostnas.errors": ("InputError",),
    "frostnas.evaluation.evaluate": ("evaluate",),
    "frostnas.nets": ("Net", "create_model", "load_weights"),
    "frostnas.pipeline.functions": (
        "export",
        "ladder",
        "profile_latency",
        "run",
        "search_block",
        "search_net",
        "train",
    ),
    "frostnas.report.grids": ("RunSummary",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BlockResult",
    "BlockSpec",
    "Config",
    "Evaluation",
    "ExportReport",
    "HeadSpec",
    "InputError",
    "Int8Model",
    "LadderResult",
    "LatencyTable",
    "LayerSpec",
    "Net",
    "NetResult",
    "NetSpec",
    "RunSummary",
    "StemSpec",
    "TrainResult",
    "__version__",
    "compose_config",
    "create_model",
    "evaluate",
    "export",
    "ladder",
    "load",
    "load_int8",
    "load_weights",
    "profile_latency",
    "run",
    "search_block",
    "search_net",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'frostnas' has no attribute '{name}'")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
