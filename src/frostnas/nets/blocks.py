"""Blocks: what a `LayerSpec` is as a module. A new kind is one class in `BLOCKS`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from frostnas.artifacts import BlockSpec, LayerSpec
from frostnas.nets.ghost import GhostBottleneck
from frostnas.nets.ops import choose, conv_act, make_gate, make_spatial, under
from frostnas.quant import Add, Concat, ConvBN, QTensor, Scheme


class InvertedResidual(nn.Module):
    """Squeeze-and-concatenate, expand, spatial operation, gate, project, add.

    The Frost bottleneck (FrostNet, section 4) and the blocks of MobileNetV2 and V3 are points of it.
    """

    def __init__(self, in_channels: int, layer: LayerSpec, scheme: Scheme) -> None:
        super().__init__()
        block, hidden = layer.block, layer.hidden(in_channels)
        squeezed = layer.squeezed(in_channels)
        self.squeeze = conv_act(in_channels, squeezed, block.activation, scheme) if squeezed else None
        self.concat = Concat(scheme) if squeezed else None
        width = in_channels + squeezed
        self.expand = conv_act(width, hidden, block.activation, scheme) if block.expand > 1 else None
        self.spatial = make_spatial(block.spatial, hidden, layer.stride, block.activation, scheme)
        self.gate = make_gate(block.gate, hidden, scheme)
        self.project = ConvBN(hidden, layer.out_channels, scheme=scheme)
        self.add = Add(scheme) if layer.has_skip(in_channels) else None

    def forward(self, x: QTensor) -> QTensor:
        y = x  # (N, C, H, W)
        if self.squeeze is not None and self.concat is not None:
            y = self.concat(self.squeeze(x), x)  # (N, C + C // R, H, W)
        if self.expand is not None:
            y = self.expand(y)
        y = self.spatial(y)  # (N, hidden, H / stride, W / stride)
        if self.gate is not None:
            y = self.gate(y)
        y = self.project(y)
        return self.add(x, y) if self.add is not None else y  # type: ignore[no-any-return]


BlockBuilder = Callable[[int, LayerSpec, Scheme], nn.Module]
BLOCKS: dict[str, BlockBuilder] = {"inverted_residual": InvertedResidual, "ghost": GhostBottleneck}


def build_block(in_channels: int, layer: LayerSpec, scheme: Scheme) -> nn.Module:
    """The module of one layer: `QTensor` (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).

    Raises:
        InputError: a slot of the block holds a name that nothing is registered under.
    """
    block = choose(BLOCKS, "kind", layer.block.kind)(in_channels, layer, scheme)
    return under(block, layer.block.convention)


def check_block(block: BlockSpec) -> None:
    """Raise InputError if a slot of ``block`` holds a name that nothing is registered under."""
    with torch.device("meta"):
        build_block(64, LayerSpec(block, 64, 1), Scheme())
