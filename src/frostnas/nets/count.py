"""What a network costs before it is measured: parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from frostnas.artifacts import NetSpec
from frostnas.nets.net import Net
from frostnas.quant import ConvBN, QTensor


@dataclass(frozen=True, slots=True)
class Counts:
    """Size of a network at its image size."""

    parameters: int
    macs: int
    """Multiply-adds of all convolutions and fully connected layers, for one image."""


def count(spec: NetSpec) -> Counts:
    """Count without memory or arithmetic: the network is run on torch's meta device, shapes only."""
    macs = 0

    def add(layer: torch.nn.Module, inputs: tuple[QTensor], output: QTensor) -> None:
        nonlocal macs
        assert isinstance(layer, ConvBN)
        macs += output.value.numel() * layer.conv.weight[0].numel()

    with torch.device("meta"), torch.no_grad():
        net = Net(spec).eval()
        for module in net.modules():
            if isinstance(module, ConvBN):
                module.register_forward_hook(add)
        net(torch.empty(1, 3, spec.image_size, spec.image_size))
    return Counts(sum(parameter.numel() for parameter in net.parameters()), macs)
