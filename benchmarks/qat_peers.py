"""What a QAT step costs in other tools: FrostNet-Small as a plain torch network, prepared as each tool's manual says.

    pip install -e '.[bench]'
    python benchmarks/qat_peers.py [--rounds 9] [--sizes 32 224]

Every tool trains with the same optimizer, batch, threads and memory format; steps take turns. Writes
benchmarks/results/qat_peers.csv and prints the table of docs/quantization.md. A tool that is not installed is left out.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.artifacts import LayerSpec, NetSpec
from frostnas.config import OptimConfig
from frostnas.engine import make_optimizer
from frostnas.nets import create_model
from frostnas.quant import QuantState, set_state

RESULTS = Path(__file__).parent / "results" / "qat_peers.csv"
BATCH = {32: 64, 224: 8}
WARM_UP = 3


class Parts:
    """What a plain network is made of; a tool with modules of its own replaces them."""

    def conv(self, *arguments: int, **options: int | bool) -> nn.Module:
        return nn.Conv2d(*arguments, **options)  # type: ignore[arg-type]

    def relu(self) -> nn.Module:
        return nn.ReLU()

    def grid(self) -> nn.Module:
        """Behind everything else that makes a new activation."""
        return nn.Identity()


def conv_bn(parts: Parts, inputs: int, outputs: int, kernel: int, stride: int, groups: int, act: bool) -> nn.Sequential:
    conv = parts.conv(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), parts.relu() if act else parts.grid())


class PlainBlock(nn.Module):
    """A Frost bottleneck without quantizers."""

    def __init__(self, parts: Parts, inputs: int, layer: LayerSpec) -> None:
        super().__init__()
        squeezed, hidden = layer.squeezed(inputs), layer.hidden(inputs)
        self.squeeze = conv_bn(parts, inputs, squeezed, 1, 1, 1, True) if squeezed else None
        self.concat = parts.grid()
        wide = inputs + squeezed
        self.expand = conv_bn(parts, wide, hidden, 1, 1, 1, True) if layer.block.expand > 1 else nn.Identity()
        self.spatial = conv_bn(parts, hidden, hidden, layer.block.kernel, layer.stride, hidden, True)
        self.project = conv_bn(parts, hidden, layer.out_channels, 1, 1, 1, False)
        self.add = parts.grid() if layer.has_skip(inputs) else None

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.squeeze is None else self.concat(torch.cat([self.squeeze(x), x], 1))
        y = self.project(self.spatial(self.expand(y)))
        return y if self.add is None else self.add(x + y)


class PlainNet(nn.Module):
    """A published FrostNet without quantizers."""

    def __init__(self, parts: Parts, spec: NetSpec) -> None:
        super().__init__()
        channels = spec.stem.channels
        blocks: list[nn.Module] = [
            parts.grid(),
            conv_bn(parts, 3, channels, spec.stem.kernel, spec.stem.stride, 1, True),
        ]
        for layer in spec.layers:
            blocks.append(PlainBlock(parts, channels, layer))
            channels = layer.out_channels
        blocks.append(conv_bn(parts, channels, spec.head.channels, 1, 1, 1, True))
        classifier = parts.conv(spec.head.channels, spec.head.classes, 1)
        pool = nn.AdaptiveAvgPool2d(1)
        self.body = nn.Sequential(
            *blocks, pool, parts.grid(), nn.Dropout(spec.head.dropout), classifier, parts.grid(), nn.Flatten()
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image)  # type: ignore[no-any-return]


def frostnas_net(spec: NetSpec, images: Tensor, state: QuantState) -> nn.Module:
    net = create_model(spec.name, spec.head.classes, image_size=images.shape[-1])
    set_state(net, state)
    return net


def torch_ao_net(spec: NetSpec, images: Tensor) -> nn.Module:
    from torch.ao.quantization import get_default_qat_qconfig_mapping
    from torch.ao.quantization.quantize_fx import prepare_qat_fx

    return prepare_qat_fx(PlainNet(Parts(), spec).train(), get_default_qat_qconfig_mapping("x86"), (images,))  # type: ignore[no-any-return]


def torchao_net(spec: NetSpec, images: Tensor) -> nn.Module:
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    graph = torch.export.export(PlainNet(Parts(), spec).train(), (images,)).module()
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))
    return prepare_qat_pt2e(graph, quantizer)  # type: ignore[no-any-return]


def brevitas_net(spec: NetSpec, images: Tensor) -> nn.Module:
    from brevitas import nn as qnn
    from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Uint8ActPerTensorFloat

    class BrevitasParts(Parts):
        def conv(self, *arguments: int, **options: int | bool) -> nn.Module:
            return qnn.QuantConv2d(*arguments, weight_quant=Int8WeightPerChannelFloat, **options)

        def relu(self) -> nn.Module:
            return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat)

        def grid(self) -> nn.Module:
            return qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat)

    return PlainNet(BrevitasParts(), spec)


TOOLS: dict[str, Callable[[NetSpec, Tensor], nn.Module]] = {
    "frostnas, FP32": lambda spec, images: frostnas_net(spec, images, QuantState.FLOAT),
    "frostnas, QAT": lambda spec, images: frostnas_net(spec, images, QuantState.FAKE),
    "plain torch, FP32": lambda spec, images: PlainNet(Parts(), spec),
    "torch.ao FX, QAT": torch_ao_net,
    "torchao pt2e, QAT": torchao_net,
    "Brevitas, QAT": brevitas_net,
}


def stepper(tool: str, image_size: int) -> Callable[[], None]:
    """One whole training step: forward, backward, optimizer."""
    torch.manual_seed(0)
    spec = create_model("frostnet_small_1_0", 10, image_size=image_size).spec
    assert isinstance(spec, NetSpec)
    batch = BATCH[image_size]
    images = torch.randn(batch, 3, image_size, image_size).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))
    net = TOOLS[tool](spec, images).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(net, OptimConfig())

    def step() -> None:
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def prepare(image_size: int) -> dict[str, Callable[[], None]]:
    """The steps of every tool that is there, warm."""
    steps = {}
    for tool in TOOLS:
        try:
            step = stepper(tool, image_size)
        except ImportError as error:
            print(f"{tool}: left out, {error}")
            continue
        for _ in range(WARM_UP):
            step()
        steps[tool] = step
    return steps


def measure(image_size: int, rounds: int) -> list[dict[str, object]]:
    """Interleaved steps of all tools: milliseconds, and ratios within a round to frostnas' own QAT step."""
    steps = prepare(image_size)
    times: dict[str, list[float]] = {tool: [] for tool in steps}
    for _ in range(rounds):
        for tool, step in steps.items():
            start = time.perf_counter()
            step()
            times[tool].append((time.perf_counter() - start) * 1e3)
    rows: list[dict[str, object]] = []
    for tool, values in times.items():
        ratios = np.array(values) / np.array(times["frostnas, QAT"])
        p25, median, p75 = np.percentile(ratios, [25, 50, 75])
        common = {
            "image_size": image_size,
            "batch": BATCH[image_size],
            "threads": torch.get_num_threads(),
            "tool": tool,
        }
        rows.append({**common, "step_ms": np.median(values), "ratio": median, "ratio_p25": p25, "ratio_p75": p75})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(BATCH), choices=sorted(BATCH))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of deprecations in what is compared with
    rows = []
    for image_size in arguments.sizes:
        rows += measure(image_size, arguments.rounds)
    RESULTS.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(RESULTS, index=False)
    print("| size, batch | step | median | ratio to frostnas' QAT (quartiles) |\n|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['image_size']}, {row['batch']} | {row['tool']} | {row['step_ms']:.0f} ms "
            f"| {row['ratio']:.2f} ({row['ratio_p25']:.2f} to {row['ratio_p75']:.2f}) |"
        )


if __name__ == "__main__":
    main()
