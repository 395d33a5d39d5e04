"""Workloads and networks as ONNX models to be timed: random weights, plausible ranges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from onnx import TensorProto
from torch import nn

from frostnas.artifacts import HeadSpec, LayerSpec, NetSpec, StemSpec, Workload
from frostnas.deploy.onnx.emitter import emit_layers, emit_net
from frostnas.deploy.onnx.graph import Graph, IntegerGrid, Value, tensor
from frostnas.nets import Net, build_block, build_head, build_stem
from frostnas.nets.count import Shape
from frostnas.quant import ActivationQuantizer, InputQuantizer, QTensor, QuantState, Scheme, set_state

SAMPLES, SIDE = 4, 8  # random inputs that set the ranges, and their size; a latency does not depend on them


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: models are settled on tensors so small that a second one only waits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def _settle(module: nn.Module, x: Any) -> None:
    """Give batch norm and ranges something to stand on."""
    set_state(module, QuantState.OBSERVE)
    module.train()
    module(x)
    module.eval()


def network_model(spec: NetSpec, scheme: Scheme, *, quantized: bool = True) -> onnx.ModelProto:
    """A whole network with random weights."""
    torch.manual_seed(0)
    net = Net(spec, scheme)
    _settle(net, torch.randn(SAMPLES, 3, min(spec.image_size, 8 * SIDE), min(spec.image_size, 8 * SIDE)))
    return emit_net(net, {}, quantized=quantized)


def _noise(channels: int, size: int) -> torch.Tensor:
    """Images or maps (SAMPLES, channels, side, side) for a part that takes ``size``."""
    return torch.randn(SAMPLES, channels, min(size, SIDE), min(size, SIDE))


def _module(workload: Workload, scheme: Scheme) -> nn.Module:
    match workload.part:
        case StemSpec() as stem:
            return nn.Sequential(InputQuantizer(scheme), build_stem(stem, scheme))
        case LayerSpec() as layer:
            return build_block(workload.in_channels, layer, scheme)
        case HeadSpec() as head:
            return build_head(workload.in_channels, head, scheme)


def workload_model(workload: Workload, scheme: Scheme, batch: int = 1, *, quantized: bool = True) -> onnx.ModelProto:
    """One workload between the tensors that it has in a network.

    Borders inside a network are integers in NHWC, the layout that the runtime's integer kernels work in: the explicit
    transposes here cancel against its own. A stem starts from the float image, a head ends in float logits.
    """
    torch.manual_seed(0)
    module = _module(workload, scheme)
    shape = (batch, workload.in_channels, workload.size, workload.size)
    graph = Graph(quantized)
    if workload.kind == "stem":
        _settle(module, _noise(workload.in_channels, workload.size))
        first, start = tensor("input", shape), Value("input")
    else:
        border = ActivationQuantizer(scheme)
        x: QTensor = _observed(border, _noise(workload.in_channels, workload.size))
        _settle(module, x)
        first, start = _open(graph, shape, border)
    result = emit_layers(graph, module, start, Shape(workload.in_channels, workload.size))
    last = _close(graph, result, workload, batch)
    return graph.model([first], [last], {})


def _observed(border: ActivationQuantizer, x: torch.Tensor) -> QTensor:
    border.state = QuantState.OBSERVE
    observed: QTensor = border(x)
    return observed


def _open(graph: Graph, shape: tuple[int, ...], border: ActivationQuantizer) -> tuple[onnx.ValueInfoProto, Value]:
    """The input that an inner part has."""
    if not graph.quantized:
        return tensor("input", shape), Value("input")
    batch, channels, height, width = shape
    kind = TensorProto.INT8 if border.scheme.signed_activations else TensorProto.UINT8
    inner = graph.node("Transpose", ["input"], "input.nchw", perm=[0, 3, 1, 2])
    return tensor("input", (batch, height, width, channels), kind), graph.read(inner, IntegerGrid.of(border), "border")


def _close(graph: Graph, result: Value, workload: Workload, batch: int) -> onnx.ValueInfoProto:
    """The output that a part has."""
    part = workload.part
    if isinstance(part, HeadSpec):
        graph.node("Flatten", [result.name], "output", axis=1)
        return tensor("output", (batch, part.classes))
    channels = part.out_channels if isinstance(part, LayerSpec) else part.channels
    size = -(-workload.size // part.stride)
    if not graph.quantized:
        graph.node("Identity", [result.name], "output")
        return tensor("output", (batch, channels, size, size))
    kind = TensorProto.INT8 if result.grid.signed else TensorProto.UINT8
    graph.node("Transpose", [result.stored], "output", perm=[0, 2, 3, 1])
    return tensor("output", (batch, size, size, channels), kind)
