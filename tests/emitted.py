"""What the emitter tests share: networks with weights as after training, their ONNX files, and both run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from frostnas import BlockSpec, LayerSpec
from frostnas.deploy.onnx.emitter import emit_layers
from frostnas.deploy.onnx.graph import Graph, Value, tensor
from frostnas.deploy.onnx.integers import float_operations, optimized_graph
from frostnas.nets import build_block
from frostnas.nets.count import Shape
from frostnas.quant import ActivationQuantizer, ConvBN, QuantState, Scheme, set_state


class Probe(nn.Module):
    """One block behind an input quantizer: float32 (N, C, H, W) -> float32 (N, C_out, H / stride, W / stride)."""

    def __init__(self, in_channels: int, layer: LayerSpec, scheme: Scheme) -> None:
        super().__init__()
        self.input = ActivationQuantizer(scheme)
        self.block = build_block(in_channels, layer, scheme)

    def forward(self, image: Tensor) -> Tensor:
        return self.block(self.input(image)).value


def as_if_trained(model: nn.Module, shape: tuple[int, ...], steps: int = 3) -> None:
    """Give ``model`` uneven batch norms and biases, observe, take a few steps fake-quantized, and freeze it."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
        if isinstance(module, ConvBN) and module.conv.bias is not None:
            nn.init.normal_(module.conv.bias, 0, 0.3)
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    set_state(model.train(), QuantState.OBSERVE)
    for _ in range(steps):
        y = model(torch.randn(shape))
        (y * torch.randn_like(y)).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        set_state(model, QuantState.FAKE)
    set_state(model.eval(), QuantState.FROZEN)


def observe(model: nn.Module, images: Tensor) -> None:
    """Estimate the ranges again, for weights that were changed by hand."""
    set_state(model.eval(), QuantState.OBSERVE)
    for module in model.modules():
        if isinstance(module, ActivationQuantizer) and not module.fixed:
            module.started.fill_(False)
    with torch.no_grad():
        model(images)
    set_state(model, QuantState.FROZEN)


def emit_probe(probe: Probe, shape: tuple[int, ...], path: Path) -> Value:
    """Write the INT8 file of a probe for images of ``shape`` (N, C, H, W); what it returns is the output's grid."""
    graph = Graph(quantized=True)
    value = emit_layers(graph, probe, Value("image"), Shape(*shape[1:3]))
    with torch.no_grad():
        out = probe(torch.zeros(shape)).shape
    inputs, outputs = tensor("image", ("batch", *shape[1:])), tensor(value.name, ("batch", *out[1:]))
    onnx.save(graph.model([inputs], [outputs], {}), str(path))
    return value


def run_file(path: Path, images: Tensor) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    options.add_session_config_entry("session.x64quantprecision", "1")  # exact with 8-bit weights without VNNI too
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images.numpy()})[0]


@dataclass(frozen=True)
class Comparison:
    """The file against the fake-quantized block."""

    steps: int
    """Largest difference, in steps of the output's grid."""
    kinds: Counter[str]
    """Operations of the graph that onnxruntime executes."""
    float_operations: list[str]


def compare(probe: Probe, images: Tensor, folder: Path) -> Comparison:
    path = folder / "probe.onnx"
    value = emit_probe(probe, tuple(images.shape), path)
    with torch.no_grad():
        wanted = probe(images).numpy()
    steps = np.rint(np.abs(run_file(path, images) - wanted) / value.grid.scale).max()
    kinds = Counter(node.op_type for node in optimized_graph(path).graph.node)
    return Comparison(int(steps), kinds, float_operations(path))


def probe_of(block: BlockSpec, in_channels: int = 32, out_channels: int = 32, stride: int = 1, **scheme: Any) -> Probe:
    return Probe(in_channels, LayerSpec(block, out_channels, stride), Scheme(**scheme))
