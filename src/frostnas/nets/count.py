"""What a network costs before it is measured: parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from frostnas.artifacts import NetSpec
from frostnas.nets.net import Net
from frostnas.nets.trace import trace
from frostnas.quant import ConvBN, GlobalAveragePool, MaxPool


@dataclass(frozen=True, slots=True)
class Counts:
    """Size of a network at its image size."""

    parameters: int
    macs: int
    """Multiply-adds of all convolutions and fully connected layers, for one image."""


def count(spec: NetSpec) -> Counts:
    """Count on shapes alone: nothing is allocated or computed."""
    with torch.device("meta"), _WithoutInitialValues():
        net = Net(spec)
    macs = 0
    sides: dict[fx.Node, int] = {}  # height and width of each layer's output
    for node in trace(net).nodes:
        if node.op == "placeholder":
            sides[node] = spec.image_size
        if node.op == "call_module":
            layer = net.get_submodule(str(node.target))
            sides[node] = _side_after(layer, sides[node.args[0]])
            if isinstance(layer, ConvBN):
                macs += layer.conv.weight.numel() * sides[node] ** 2
    return Counts(sum(parameter.numel() for parameter in net.parameters()), macs)


def _side_after(layer: nn.Module, side: int) -> int:
    """Height and width of a layer's output; all windows are padded to "same"."""
    match layer:
        case ConvBN():
            return -(-side // layer.conv.stride[0])
        case MaxPool():
            return -(-side // layer.stride)
        case GlobalAveragePool():
            return 1
    return side


class _WithoutInitialValues(TorchFunctionMode):
    """Leaves random initial values out: on the meta device they are most of a network's construction time."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return func(*args, **(kwargs or {}))
