"""The dataflow of a network: every call of a quantization-aware layer, as blocks write it once in their `forward`.

`walk` is the one way along it: counting, resources, the ONNX emitter and the Q/DQ form are each a function of one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from torch import fx, nn

from frostnas.quant import Layer

T = TypeVar("T")
READ, FLATTEN = "value", "flatten"
"""What a network may do with a layer's result itself: take the tensor out of a `QTensor`, and flatten the logits."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer."""

    name: str
    """Of the layer in its network."""
    layer: Layer
    inputs: tuple[int, ...]
    """Which values it reads: the network's own inputs are numbered first, then what each call gives."""


@dataclass(frozen=True, slots=True)
class Trace:
    """All calls in order."""

    inputs: int
    """How many values the network takes."""
    calls: tuple[Call, ...]
    output: int
    """Number of the value that the network gives."""


class _LayerTracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return isinstance(module, Layer)


def trace(module: nn.Module) -> Trace:
    """The calls that ``module`` makes.

    Raises:
        TypeError: it computes something outside of a `Layer`, which no count and no exported file would hold.
    """
    inputs, output = 0, 0
    calls: list[Call] = []
    number: dict[object, int] = {}  # of each node's value
    for node in _LayerTracer().trace(module).nodes:
        if node.op == "placeholder":
            number[node] = inputs
            inputs += 1
        elif node.op == "call_module" and not node.kwargs:
            layer = module.get_submodule(str(node.target))
            assert isinstance(layer, Layer)
            number[node] = inputs + len(calls)
            calls.append(Call(str(node.target), layer, tuple(number[arg] for arg in node.args)))
        elif node.op == "output" and isinstance(node.args[0], fx.Node):
            output = number[node.args[0]]
        elif _passes(node):
            number[node] = number[node.args[0]]
        else:
            raise TypeError(f"{_place(node, module)}: no layer computes {node.name}; make a `Layer` of it")
    return Trace(inputs, tuple(calls), output)


def walk(traced: Trace, inputs: Iterable[T], visit: Callable[..., T]) -> T:
    """What the network gives when every call is ``visit(call, *values)`` instead.

    Args:
        inputs: in place of the network's own inputs.
    """
    values = list(inputs)
    for call in traced.calls:
        values.append(visit(call, *(values[number] for number in call.inputs)))
    return values[traced.output]


def _passes(node: fx.Node) -> bool:
    """Whether a node is no arithmetic: the value of a `QTensor`, or logits without their two sides of one pixel."""
    if node.op == "call_function":
        return node.target is getattr and str(node.args[1]) == READ
    return node.op == "call_method" and node.target == FLATTEN


def _place(node: fx.Node, module: nn.Module) -> str:
    """Where in the network a node is."""
    stack = node.meta.get("nn_module_stack") or {}
    return list(stack)[-1] if stack else type(module).__name__
