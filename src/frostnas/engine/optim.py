"""Optimizers with the weight-decay groups of StatAssist."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from frostnas.config import OptimConfig, OptimizerName
from frostnas.engine.rmsprop import RMSpropTF

LIGHT = 0.01  # share of the weight decay for batch norm, biases and the classifier


def classifier_of(model: nn.Module) -> nn.Module | None:
    """The last convolution or linear layer, if it has a bias as classifiers do."""
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return layers[-1] if layers and layers[-1].bias is not None else None


def decay_groups(model: nn.Module, weight_decay: float, trunk: float = 1.0) -> list[dict[str, Any]]:
    """Parameter groups of a model that ends in its classifier (StatAssist, section 4; FrostNet, section 4).

    Depthwise weights are not decayed, other convolutions in full, batch norm, biases and the classifier by a
    hundredth. Only parameters that require a gradient are taken.

    Args:
        trunk: share of the learning rate for everything but the classifier.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    classifier = classifier_of(model)
    full, none = [], []
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels:
            none.append(layer.weight)
        elif layer is not classifier:
            full.append(layer.weight)
    sorted_out = {id(weight) for weight in [*full, *none]}
    light = [parameter for parameter in model.parameters() if id(parameter) not in sorted_out]
    head = list(classifier.parameters()) if trunk != 1 and classifier is not None else []
    apart = {id(parameter) for parameter in head}
    rest = [parameter for parameter in light if id(parameter) not in apart]
    groups = ((full, 1.0, trunk), (none, 0.0, trunk), (rest, LIGHT, trunk), (head, LIGHT, 1.0))
    return [
        {"params": kept, "weight_decay": weight_decay * decay, "share": share}
        for parameters, decay, share in groups
        if (kept := [parameter for parameter in parameters if parameter.requires_grad])
    ]


def make_optimizer(model: nn.Module, config: OptimConfig, trunk: float = 1.0) -> torch.optim.Optimizer:
    """The optimizer that ``config`` names over `decay_groups`; its learning rate is set per step by a schedule."""
    groups = decay_groups(model, config.weight_decay, trunk)
    match config.name:
        case OptimizerName.sgd:
            return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
        case OptimizerName.adamw:
            return torch.optim.AdamW(groups, lr=config.lr)
        case OptimizerName.rmsprop_tf:
            return RMSpropTF(groups, lr=config.lr, momentum=config.momentum)
