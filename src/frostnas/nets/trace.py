"""The dataflow of a network as a graph of quantization-aware layers, which blocks write once in their `forward`."""

from __future__ import annotations

from torch import fx, nn

from frostnas.quant import (
    ActivationQuantizer,
    Add,
    Concat,
    ConvBN,
    Dropout,
    GlobalAveragePool,
    HardSwish,
    MaxPool,
    Multiply,
)

LEAVES = (ActivationQuantizer, Add, Concat, ConvBN, Dropout, GlobalAveragePool, HardSwish, MaxPool, Multiply)


class _LayerTracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return isinstance(module, LEAVES)


def trace(module: nn.Module) -> fx.Graph:
    """Every call of a layer in order, as a `call_module` node; other nodes only pass their first argument on."""
    return _LayerTracer().trace(module)
