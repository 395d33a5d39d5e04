"""The names that users import, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import frostnas

NAMES = [
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


def test_the_public_names_are_these() -> None:
    assert [name for name in dir(frostnas) if not name.startswith("_")] == NAMES
    assert all(getattr(frostnas, name) is not None for name in NAMES)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, frostnas; assert frostnas.__version__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        _ = frostnas.magic
