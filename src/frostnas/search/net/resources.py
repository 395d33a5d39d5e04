"""What a part of a network takes besides time: bytes of weights, multiply-adds, bytes of live activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frostnas.artifacts import HeadSpec, LayerSpec, StemSpec, Workload
from frostnas.nets import build_block, build_head, build_stem
from frostnas.quant import Add, Concat, ConvBN, GlobalAveragePool, HardSwish, MaxPool, Multiply, QTensor, Scheme

LAYERS = (Add, Concat, ConvBN, GlobalAveragePool, HardSwish, MaxPool, Multiply)


@dataclass(frozen=True, slots=True)
class Resources:
    """Of one part in INT8, for one image."""

    size_bytes: int
    """Weights of one byte; per output channel a bias and a scale of four."""
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
            return build_stem(part.part, Scheme())
        case LayerSpec():
            return build_block(part.in_channels, part.part, Scheme())
        case HeadSpec():
            return build_head(part.in_channels, part.part, Scheme())


def _count(part: Workload) -> Resources:
    size = macs = 0
    calls: list[tuple[list[Tensor], Tensor]] = []

    def note(layer: nn.Module, inputs: tuple[QTensor, ...], output: QTensor) -> None:
        nonlocal size, macs
        calls.append(([one.value for one in inputs], output.value))
        if isinstance(layer, ConvBN):
            size += layer.conv.weight.numel() + 8 * layer.conv.out_channels
            macs += output.value.numel() * layer.conv.weight[0].numel()

    with torch.device("meta"), torch.no_grad():
        module = _build(part).eval()
        for layer in module.modules():
            if isinstance(layer, LAYERS):
                layer.register_forward_hook(note)
        image = torch.empty(1, part.in_channels, part.size, part.size)
        module(QTensor(image, torch.empty(())))
    return Resources(size, macs, _peak(calls))


def _peak(calls: list[tuple[list[Tensor], Tensor]]) -> int:
    """Live bytes at their most: a tensor lives from the call that makes it (or the start) to its last use."""
    last = {id(value): number for number, (inputs, _) in enumerate(calls) for value in inputs}
    live = {id(value): value.numel() for value in calls[0][0]}
    peak = 0
    for number, (_, output) in enumerate(calls):
        live[id(output)] = output.numel()
        peak = max(peak, sum(live.values()))
        live = {key: size for key, size in live.items() if last.get(key, len(calls)) > number}
    return peak
