"""Channels of a network in the order of what they matter, so that its parts keep the most important ones.

What reads a channel says how much it matters: by the L1 norm of the weights that it is multiplied by (Cai et al. 2020,
3.3). Hidden channels of a layer have an order of their own; channels that additions tie together, those of a stage,
have a common one. The network computes what it did, to the rounding of its sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from frostnas.nets import Net
from frostnas.nets.blocks import InvertedResidual
from frostnas.nets.ops import SqueezeExcite
from frostnas.quant import ConvBN


@torch.no_grad()
def sort_channels(net: Net) -> bool:
    """Put the channels of ``net`` in order; False, and nothing done, where a block is of a kind that has none."""
    layers = [layer for layer in net.layers if isinstance(layer, InvertedResidual)]
    if len(layers) < len(net.layers):
        return False  # half of a ghost's channels are made of the other half, in its order
    for layer in layers:
        _sort_inside(layer)
    for start, stop in _tied(layers):
        _sort_between(net, layers, start, stop)
    return True


def _sort_inside(layer: InvertedResidual) -> None:
    """What only the layer itself reads: squeezed and hidden channels, those inside a gate."""
    if layer.squeeze is not None:
        assert layer.expand is not None
        squeezed = _conv(layer.squeeze)
        read, new = _read(_conv(layer.expand)), squeezed.conv.out_channels
        order = _order(read[:new])
        _order_outputs(squeezed, order)
        _order_inputs(_conv(layer.expand), torch.cat([order, torch.arange(new, len(read), device=read.device)]))
    if layer.expand is not None:
        order = _order(_read(layer.project))
        _order_outputs(_conv(layer.expand), order)
        _order_hidden(layer, order)
    if isinstance(layer.gate, SqueezeExcite):
        order = _order(_read(layer.gate.restore))
        _order_outputs(layer.gate.reduce, order)
        _order_inputs(layer.gate.restore, order)


def _tied(layers: Sequence[InvertedResidual]) -> Iterator[tuple[int, int]]:
    """Runs of maps that have one order: map 0 is the stem's, map n that of layer n; from the first to the last."""
    start = 0
    for number, layer in enumerate(layers, start=1):
        if layer.add is None:
            yield start, number - 1
            start = number
    yield start, len(layers)


def _sort_between(net: Net, layers: Sequence[InvertedResidual], start: int, stop: int) -> None:
    """The channels of maps ``start`` to ``stop``, which all layers between add to."""
    assert net.head is not None
    readers = layers[start : stop + 1]
    last = _conv(net.head) if stop == len(layers) else None
    mattering = sum((_mattering(layer) for layer in readers), torch.zeros(()))
    if last is not None:
        mattering = mattering + _read(last)
    order = _order(mattering)
    for number in range(start, stop + 1):
        _order_outputs(layers[number - 1].project if number else _conv(net.stem), order)
    for layer in readers:
        _order_read(layer, order)
    if last is not None:
        _order_inputs(last, order)


def _mattering(layer: InvertedResidual) -> Tensor:
    """What the layer makes of each channel that enters it, (C,)."""
    if layer.expand is None:
        return _read(layer.project)
    old = _read(_conv(layer.expand))
    if layer.squeeze is None:
        return old
    squeezed = _conv(layer.squeeze)
    return old[squeezed.conv.out_channels :] + _read(squeezed)


def _order_read(layer: InvertedResidual, order: Tensor) -> None:
    """The inputs of a layer whose map has a new order."""
    if layer.expand is None:  # it works on the map itself
        _order_hidden(layer, order)
        return
    if layer.squeeze is None:
        _order_inputs(_conv(layer.expand), order)
        return
    squeezed = _conv(layer.squeeze)
    new = squeezed.conv.out_channels
    _order_inputs(squeezed, order)
    _order_inputs(_conv(layer.expand), torch.cat([torch.arange(new, device=order.device), order + new]))


def _order_hidden(layer: InvertedResidual, order: Tensor) -> None:
    """All behind the expansion: its inputs come in a new order."""
    for module in layer.spatial.modules():
        if isinstance(module, ConvBN):
            _order_outputs(module, order)
    if isinstance(layer.gate, SqueezeExcite):
        _order_inputs(layer.gate.reduce, order)
        _order_outputs(layer.gate.restore, order)
    _order_inputs(layer.project, order)


def _conv(module: nn.Module) -> ConvBN:
    """The convolution of a layer with or without an activation of its own."""
    return next(part for part in module.modules() if isinstance(part, ConvBN))


def _read(conv: ConvBN) -> Tensor:
    """L1 norm of the weights that multiply each input, (C_in,)."""
    return conv.conv.weight.abs().sum((0, 2, 3))


def _order(mattering: Tensor) -> Tensor:
    """Numbers of channels, (C,): first what matters most, equal ones as they were."""
    return mattering.argsort(descending=True, stable=True)


def _order_inputs(conv: ConvBN, order: Tensor) -> None:
    conv.conv.weight.copy_(conv.conv.weight[:, order].clone())


def _order_outputs(conv: ConvBN, order: Tensor) -> None:
    """With bias and batch norm; a depthwise convolution is ordered by this alone."""
    tensors = [conv.shift, *conv.conv.parameters(), *(conv.bn.parameters() if conv.bn is not None else ())]
    tensors += [buffer for buffer in (conv.bn.buffers() if conv.bn is not None else ()) if buffer.dim() == 1]
    for tensor in tensors:
        tensor.copy_(tensor[order].clone())
