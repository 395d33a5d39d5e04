"""What a part of a network takes besides time: bytes of weights, multiply-adds, bytes of live activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from frostnas.artifacts import HeadSpec, LayerSpec, StemSpec, Workload
from frostnas.nets import build_block, build_head, build_stem
from frostnas.nets.count import Shape, macs_of, shapes_of, shapes_only
from frostnas.nets.trace import Trace, trace
from frostnas.quant import ConvBN, Scheme

CHANNEL_BYTES = 17
"""Bias, scale of the bias, scale of the weights: four each; and the zero points of both, four and one."""
CALL_BYTES = 1000
"""The nodes of one layer with their names, about, as measured on exported files."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Of one part in INT8, for one image."""

    size_bytes: int
    """Of the exported INT8 file."""
    macs: int
    peak_activation_bytes: int
    """Most bytes of activations, one each, that are needed at one time when layers run in their order."""


class ResourceCounter:
    """Counts each distinct part once, on torch's meta device: shapes without memory or arithmetic."""

    def __init__(self) -> None:
        self._known: dict[str, Resources] = {}

    def __call__(self, part: Workload) -> Resources:
        if part.key not in self._known:
            self._known[part.key] = _count(part)
        return self._known[part.key]

    def size_bytes(self, part: Workload) -> float:
        return self(part).size_bytes

    def macs(self, part: Workload) -> float:
        return self(part).macs

    def peak_activation_bytes(self, part: Workload) -> float:
        return self(part).peak_activation_bytes


def _build(part: Workload) -> nn.Module:
    match part.part:
        case StemSpec():
            return nn.Sequential(build_stem(part.part, Scheme()))  # a layer alone makes no calls
        case LayerSpec():
            return build_block(part.in_channels, part.part, Scheme())
        case HeadSpec():
            return build_head(part.in_channels, part.part, Scheme())


def _count(part: Workload) -> Resources:
    with shapes_only():
        traced = trace(_build(part))
    shapes = shapes_of(traced, Shape(part.in_channels, part.size))
    layers = [call.layer.conv for call in traced.calls if isinstance(call.layer, ConvBN)]
    size = sum(conv.weight.numel() + CHANNEL_BYTES * conv.out_channels for conv in layers)
    size += CALL_BYTES * len(traced.calls)
    macs = sum(macs_of(call, shape) for call, shape in zip(traced.calls, shapes[traced.inputs :], strict=True))
    return Resources(size, macs, _peak(traced, [shape.elements for shape in shapes]))


def _peak(traced: Trace, sizes: Sequence[int]) -> int:
    """Live bytes at their most: a value lives from the call that makes it (or the start) to its last use.

    Args:
        sizes: of each value of the trace, bytes.
    """
    last = {number: step for step, call in enumerate(traced.calls) for number in call.inputs}
    live = {number: sizes[number] for number in range(traced.inputs)}
    peak = 0
    for step in range(len(traced.calls)):
        made = traced.inputs + step
        live[made] = sizes[made]
        peak = max(peak, sum(live.values()))
        live = {number: size for number, size in live.items() if last.get(number, len(traced.calls)) > step}
    return peak
