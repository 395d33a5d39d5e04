"""Weights of the authors' published FrostNets, found by the module names of their code."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from pathlib import Path

import torch

from frostnas.artifacts import NetSpec
from frostnas.errors import InputError
from frostnas.nets.net import Net
from frostnas.nets.state_dicts import check_fits, read_state_dict
from frostnas.nets.zoo import zoo_entries

BLOCK_PARTS = {"squeeze": "squeeze_conv", "expand": "conv1", "spatial": "conv2", "project": "reduce_conv"}
CONV_PARTS = {"conv": "conv.0", "bn": "conv.1"}
LAST_STAGE = 5


def load_published_weights(model: Net, path: str | Path) -> None:
    """Copy a published state dict into a FrostNet of the same size; quantizer ranges stay as they are.

    A file that holds the state dict under `state_dict`, or with `module.` before each key, is read too. A model
    without a head (`features_only`) takes what it has. Pickles that hold anything but tensors are refused.

    Raises:
        InputError: the file cannot be read, its keys or shapes are not the model's, or the model is no FrostNet.
    """
    given = read_state_dict(Path(path))
    names = published_names(model.spec)
    own = model.state_dict()
    wanted = {theirs: own[ours] for ours, theirs in names.items() if ours in own}
    left_out = {theirs for ours, theirs in names.items() if ours not in own}
    given = {key: value for key, value in given.items() if key not in left_out}
    check_fits(path, model.spec.name, wanted, given)
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
