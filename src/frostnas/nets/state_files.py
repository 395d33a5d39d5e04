"""Our own files of weights: tensors, and in the file's metadata what they expect of a network and of its images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from frostnas.artifacts import Source
from frostnas.errors import InputError

KEY = "frostnas"
"""Of the metadata."""


def weights_file(weights: Mapping[str, Tensor], source: Source | None = None) -> bytes:
    """The content of a safetensors file."""
    return save(dict(weights), None if source is None else {KEY: msgspec.json.encode(source).decode()})


def stated_source(path: Path) -> Source | None:
    """What a file of weights says itself; None where it does not, or is no safetensors file.

    Raises:
        InputError: what it says cannot be understood.
    """
    try:
        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError):
        return None
    if said is None:
        return None
    try:
        return msgspec.json.decode(said, type=Source)
    except (msgspec.DecodeError, InputError) as error:
        raise InputError(f"{path}: its metadata cannot be understood ({error})") from None
