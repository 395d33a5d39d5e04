"""A finished training in its run directory, as a live network."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from frostnas.artifacts import TrainResult, sha256_of
from frostnas.errors import InputError
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme, set_state

TRAIN, WEIGHTS = "train.json", "weights.safetensors"


def load_net(weights: Path, trained: TrainResult) -> Net:
    """A trained network from its record and `weights.safetensors`, frozen, in evaluation mode.

    Raises:
        InputError: the weights are missing or not those of the record.
    """
    check_weights(weights, trained)
    net = Net(trained.net, Scheme(trained.weight_bits, trained.signed_activations))
    net.load_state_dict(load_file(weights))
    set_state(net, QuantState.FROZEN)
    return net.eval().to(memory_format=torch.channels_last)


def check_weights(weights: Path, trained: TrainResult) -> None:
    """Raise InputError if the weights are missing or not those of the record."""
    if not weights.is_file():
        raise InputError(f"{weights}: no such file; train first")
    if sha256_of(weights) != trained.weights_sha256:
        raise InputError(f"{weights}: is not the file that its train.json was written with; train again")
