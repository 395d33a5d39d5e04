"""What a network costs before it is measured: parameters, multiply-adds, and the shapes that they follow from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from frostnas.artifacts import NetSpec
from frostnas.nets.net import Net
from frostnas.nets.trace import Call, Trace, trace, walk
from frostnas.quant import (
    ActivationQuantizer,
    Add,
    Concat,
    ConvBN,
    Dropout,
    GlobalAveragePool,
    HardSwish,
    Layer,
    MaxPool,
    Multiply,
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Size of a network at its image size."""

    parameters: int
    macs: int
    """Multiply-adds of all convolutions and fully connected layers, for one image."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of one image's map: (channels, side, side)."""

    channels: int
    side: int

    @property
    def elements(self) -> int:
        return self.channels * self.side**2


def count(spec: NetSpec) -> Counts:
    """Count on shapes alone: nothing is allocated or computed."""
    with shapes_only():
        net = Net(spec)
    traced = trace(net)
    shapes = shapes_of(traced, Shape(3, spec.image_size))[traced.inputs :]
    macs = sum(macs_of(call, shape) for call, shape in zip(traced.calls, shapes, strict=True))
    return Counts(sum(parameter.numel() for parameter in net.parameters()), macs)


def shapes_of(traced: Trace, image: Shape) -> list[Shape]:
    """The shape of every value of the trace by its number, for one input of shape ``image``."""
    shapes = [image]

    def visit(call: Call, *inputs: Shape) -> Shape:
        shapes.append(output_shape(call.layer, *inputs))
        return shapes[-1]

    walk(traced, [image], visit)
    return shapes


def macs_of(call: Call, output: Shape) -> int:
    """Multiply-adds of one call that gives ``output``."""
    return call.layer.conv.weight[0].numel() * output.elements if isinstance(call.layer, ConvBN) else 0


@singledispatch
def output_shape(layer: Layer, *inputs: Shape) -> Shape:
    """The shape that a layer gives; all windows are padded so that only a stride makes a map smaller."""
    raise TypeError(f"no shape is known of what {type(layer).__name__} gives")


@output_shape.register(ActivationQuantizer | Add | Dropout | HardSwish | Multiply)
def _(layer: Layer, *inputs: Shape) -> Shape:
    return inputs[0]


@output_shape.register
def _(layer: ConvBN, *inputs: Shape) -> Shape:
    return Shape(layer.conv.out_channels, -(-inputs[0].side // layer.window.stride))


@output_shape.register
def _(layer: MaxPool, *inputs: Shape) -> Shape:
    return Shape(inputs[0].channels, -(-inputs[0].side // layer.window.stride))


@output_shape.register
def _(layer: Concat, *inputs: Shape) -> Shape:
    return Shape(sum(one.channels for one in inputs), inputs[0].side)


@output_shape.register
def _(layer: GlobalAveragePool, *inputs: Shape) -> Shape:
    return Shape(inputs[0].channels, 1)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Modules built here have shapes and no memory, and draw no initial values: those are most of the time."""
    with torch.device("meta"), _WithoutInitialValues():
        yield


class _WithoutInitialValues(TorchFunctionMode):
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
