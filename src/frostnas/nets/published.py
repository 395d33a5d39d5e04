"""Weights of the authors' published FrostNets, found by the module names of their code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from frostnas.artifacts import NetSpec
from frostnas.errors import InputError
from frostnas.nets.net import Net
from frostnas.nets.zoo import zoo_entries

BLOCK_PARTS = {"squeeze": "squeeze_conv", "expand": "conv1", "spatial": "conv2", "project": "reduce_conv"}
CONV_PARTS = {"conv": "conv.0", "bn": "conv.1"}
LAST_STAGE = 5
NAMED_AT_MOST = 4
"""Keys that one error message names."""


def load_published_weights(model: Net, path: str | Path) -> None:
    """Copy a published state dict into a FrostNet of the same size; quantizer ranges stay as they are.

    A file that holds the state dict under `state_dict`, or with `module.` before each key, is read too. A model
    without a head (`features_only`) takes what it has. Pickles that hold anything but tensors are refused.

    Raises:
        InputError: the file cannot be read, its keys or shapes are not the model's, or the model is no FrostNet.
    """
    given = _read(Path(path))
    names = published_names(model.spec)
    own = model.state_dict()
    wanted = {theirs: own[ours] for ours, theirs in names.items() if ours in own}
    left_out = {theirs for ours, theirs in names.items() if ours not in own}
    given = {key: value for key, value in given.items() if key not in left_out}
    problems = _differences(wanted, given)
    if problems:
        more = f" and {len(problems) - NAMED_AT_MOST} more" if len(problems) > NAMED_AT_MOST else ""
        raise InputError(f"{path}: not a {model.spec.name}: {'; '.join(problems[:NAMED_AT_MOST])}{more}")
    with torch.no_grad():
        for key, tensor in wanted.items():
            tensor.copy_(given[key])


def published_names(spec: NetSpec) -> dict[str, str]:
    """The authors' name of every parameter and batch-norm statistic of a FrostNet, by ours.

    `conv1` is the stem; `layer1` to `layer5` are the stages of widths 16 and 24, 40, 80 and 96, 192, and 320;
    `last_layer` and `classifier.2` are the head. `num_batches_tracked` has no part in evaluation and is left out.

    Raises:
        InputError: the network is not one of the published FrostNets.
    """
    frostnets = [entry for entry in zoo_entries() if entry.name.startswith("frostnet_")]
    if spec.layers not in [entry.build().layers for entry in frostnets]:
        expected = ", ".join(entry.name for entry in frostnets)
        raise InputError(f"{spec.name}: no weights of it were published; expected one of {expected}")
    blocks = _block_names(spec)
    with torch.device("meta"):
        ours = Net(spec).state_dict()
    kept = (name for name in ours if ".quantizer." not in name and not name.startswith("input."))
    return {name: _theirs(name, blocks) for name in kept if not name.endswith("num_batches_tracked")}


def _block_names(spec: NetSpec) -> list[str]:
    """`layer3.2` and so on for each layer: a stage per stride of 2, and one for the last layer."""
    strides = accumulate(int(layer.stride == 2) for layer in spec.layers[:-1])
    stages = [*(max(1, count) for count in strides), LAST_STAGE]
    filled: Counter[int] = Counter()
    names = []
    for stage in stages:
        names.append(f"layer{stage}.{filled[stage]}")
        filled[stage] += 1
    return names


def _theirs(name: str, blocks: list[str]) -> str:
    match name.split("."):
        case ["stem", part, leaf]:
            return f"conv1.{CONV_PARTS[part]}.{leaf}"
        case ["layers", index, slot, part, leaf]:
            return f"{blocks[int(index)]}.{BLOCK_PARTS[slot]}.{CONV_PARTS[part]}.{leaf}"
        case ["head", "0", part, leaf]:
            return f"last_layer.{CONV_PARTS[part]}.{leaf}"
        case ["head", "3", "conv", leaf]:
            return f"classifier.2.{leaf}"
    raise AssertionError(f"{name}: no such part in a FrostNet")


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a saved state dict by the authors' names."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a saved state dict") from None
    except UnpicklingError:
        raise InputError(f"{path}: refused, a pickle of more than tensors; expected a saved state dict") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: cannot be read as a saved state dict ({reason})") from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dict; expected tensors by name")
    named = {str(key).removeprefix("module."): value for key, value in content.items()}
    return {key: value for key, value in named.items() if not key.endswith("num_batches_tracked")}


def _differences(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """What keeps ``given`` from filling ``wanted``, one phrase per key."""
    shapes = [
        f"{key} has shape {tuple(given[key].shape)}, the network {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    missing = [f"{key} is missing" for key in wanted if key not in given]
    unknown = [f"{key} is unknown" for key in given if key not in wanted]
    return shapes + missing + unknown
