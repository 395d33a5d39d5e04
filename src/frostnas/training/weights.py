"""Weights to start from."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from frostnas.engine import classifier_of
from frostnas.errors import InputError


def start_from(model: nn.Module, path: Path) -> bool:
    """Load a `weights.safetensors` into ``model``; a classifier of another number of classes stays as it is: True.

    Raises:
        InputError: the file is missing or damaged, or is that of another network.
    """
    try:
        stored = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"train.weights={path}: not a safetensors file ({error})") from None
    own = model.state_dict()
    same = {name for name, tensor in own.items() if name in stored and stored[name].shape == tensor.shape}
    other = sorted((own.keys() | stored.keys()) - same)
    layer = classifier_of(model)
    replaced = {id(parameter) for parameter in layer.parameters()} if layer is not None else set()
    of_classifier = {name for name, parameter in model.named_parameters() if id(parameter) in replaced}
    foreign = [name for name in other if name not in of_classifier]
    if foreign:
        raise InputError(f"train.weights={path}: is of another network; {len(foreign)} tensors differ ({foreign[0]})")
    model.load_state_dict({name: stored[name] for name in same}, strict=False)
    return bool(other)
