"""What the published ImageNet pipeline would take, in GPU-hours: counted work over assumed throughput.

    python benchmarks/imagenet_cost.py [--write]

Multiply-adds are counted on our own networks at 224 x 224, the cost of fake quantization is read from
benchmarks/results/qat_speed.csv, and epochs from `experiment=imagenet`. What a GPU sustains on such networks is not
measured here: it is taken from the training throughput that timm publishes for one GPU, and assumed to grow with memory
bandwidth. `--write` puts the tables into docs/imagenet-cost.md.
"""

from __future__ import annotations

import argparse
import random
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean

import pandas as pd

from frostnas.artifacts import BlockSpec
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.nets import NAMED_BLOCKS, count, zoo_spec
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.net.resources import ResourceCounter
from frostnas.search.spaces.block import BlockSpace, parse_block
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "imagenet-cost.md"
BLOCK = re.compile(r"(?<=<!-- benchmarks/imagenet_cost\.py -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)

IMAGES, VALIDATION, CLASSES, SIDE = 1_281_167, 50_000, 1000, 224
TRAIN, FORWARD = 3, 1
"""Passes of an image, each of the network's multiply-adds: forward, and backward for activations and for weights."""
DRAWS = 500
"""Paths that the mean of the network space is taken over."""
FLOPS = 2
"""Floating-point operations of a multiply-add."""
LARGEST = "squeeze_2-6-depthwise_7-hard_swish-squeeze_excite-add"
WEIGHTS_STEP, SEARCH_STEP = 1.48, 2.63
"""Steps of the supernet of blocks over a QAT step of the proxy with the largest block (docs/block-search.md)."""
LARGE = "frostnet_large_1_0"
TIMM = {"mobilenet_v2_1_0": 2313.10, "efficientnet_lite0": 2079.28}
"""Images per second of training at 224 x 224 on an RTX 3090, mixed precision, channels last: timm's
results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv."""


@dataclass(frozen=True)
class Gpu:
    name: str
    peak_tflops: float
    """Dense FP16 with FP32 sums, as its maker states it."""
    bandwidth: float
    """Of the memory, GB/s, as its maker states it."""


GPUS = (Gpu("RTX 3090", 71, 936), Gpu("A100 80 GB SXM", 312, 2039), Gpu("H100 SXM", 989, 3350))
NODES = {1: 1.0, 8: 0.9, 32: 0.7}
"""Nodes with one GPU each -> assumed scaling efficiency; a batch of 1024 leaves 128 and 32 images per GPU."""


@dataclass(frozen=True)
class Stage:
    name: str
    passes: str
    """What is counted, in words."""
    per_step: float
    """Multiply-adds of an optimizer step (of the block search: one of the weights and one of the architecture)."""
    macs: float
    """Of the whole stage, times the cost of fake quantization where it is on."""
    spreads: bool = True
    """Whether torchrun spreads it over nodes."""


def fake_quant_ratio() -> float:
    """Time of a QAT step with GradBoost over an FP32 step at 224 pixels, the largest measured in eager mode."""
    rows = pd.read_csv(HERE / "results" / "qat_speed.csv")
    rows = rows[(rows.image_size == SIDE) & (rows["mode"] == "eager") & (rows.variant == "QAT + GradBoost")]
    return float(rows.ratio.max())


def block_search(config: Config, quantized: float) -> Stage:
    """Warm-up, search, the most finalists that there can be, finals and comparison, on all images at full size."""
    search, space = config.search_block, BlockSpace(config.space.block)

    def proxy_macs(block: BlockSpec) -> int:
        return count(proxy_spec(search.proxy, block, SIDE, CLASSES)).macs

    counted = BlockSpace(replace(config.space.block, activation=["relu"], skip=["add"]))  # the others have the same
    largest, mean = proxy_macs(parse_block(LARGEST)), fmean(map(proxy_macs, counted))
    half = IMAGES / 2  # one half for the weights; the architecture's steps on the other are in SEARCH_STEP
    supernet = half * largest * TRAIN
    warm_up = search.float_epochs * supernet * WEIGHTS_STEP
    searching = search.epochs * supernet * SEARCH_STEP * quantized
    finalists = (max(search.finalists, search.epochs) + search.refinements) * search.finalist_epochs
    finals = search.finals + len(search.published)
    contenders = 1 + sum(block in space for block in NAMED_BLOCKS.values()) + search.random_blocks
    compared = (finals + contenders) * search.compare_epochs
    alone = (finalists + compared) * IMAGES * mean * TRAIN * quantized
    words = (
        f"{search.float_epochs} + {search.epochs} epochs of the proxy of all blocks "
        f"(largest block {largest / 1e6:,.0f} M), then {finalists + compared} epochs of single blocks "
        f"(mean {mean / 1e6:,.0f} M)"
    )
    step = search.batch_size * largest * TRAIN * SEARCH_STEP
    return Stage("block search, at most", words, step, warm_up + searching + alone, spreads=False)


def network_search(config: Config, quantized: float) -> Stage:
    """The supernet's epochs on drawn paths, and the scores of every network that evolution and the front ask for."""
    search = config.search_net
    space = NetworkSpace(from_scratch(config.space.network, NAMED_BLOCKS["frost"], [SIDE], CLASSES))
    rng, macs = random.Random(0), cache(ResourceCounter().macs)
    path = fmean(sum(map(macs, space.sample(rng).workloads())) for _ in range(DRAWS))
    training = (search.float_epochs + search.epochs * quantized) * IMAGES * path * TRAIN
    scored = search.population * search.generations + search.front_networks
    images = search.recalibration_batches * search.batch_size + VALIDATION
    epochs = f"{search.float_epochs} + {search.epochs} epochs"
    words = f"{epochs} of the supernet (mean path {path / 1e6:,.0f} M), {scored} scores"
    step = search.batch_size * path * TRAIN
    return Stage("network search", words, step, training + scored * images * path * FORWARD * quantized)


def training(config: Config, name: str, quantized: float) -> Stage:
    """StatAssist and QAT, with the validation images once per epoch."""
    macs = zoo_macs(name)
    floats, fake = config.train.float_epochs, config.train.epochs
    per_epoch = (IMAGES * TRAIN + VALIDATION * FORWARD) * macs
    words = f"{floats} + {fake} epochs of {name} ({macs / 1e6:,.0f} M)"
    step = config.train.batch_size * macs * TRAIN
    return Stage("training", words, step, (floats + fake * quantized) * per_epoch)


@cache
def zoo_macs(name: str) -> int:
    """For an image of 224 x 224 and 1000 classes."""
    return count(zoo_spec(name)).macs


def sustained(gpu: Gpu) -> float:
    """Operations per second that training such networks is assumed to reach."""
    measured = fmean(FLOPS * TRAIN * zoo_macs(name) * speed for name, speed in TIMM.items())
    return measured * gpu.bandwidth / GPUS[0].bandwidth


def hours(stage: Stage, gpu: Gpu, nodes: int) -> float:
    """From start to end, on ``nodes`` nodes with one such GPU each."""
    alone = FLOPS * stage.macs / sustained(gpu) / 3600
    return alone / (nodes * NODES[nodes]) if stage.spreads else alone


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def tables() -> str:
    """The page's tables, as Markdown."""
    config = compose_config(["experiment=imagenet"])
    quantized = fake_quant_ratio()
    stages = [
        block_search(config, quantized),
        network_search(config, quantized),
        training(config, LARGE, quantized),
    ]
    lines = [row("GPU", "peak, dense FP16", "memory", "assumed for training", "of the peak", f"{LARGE} in float")]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for gpu in GPUS:
        speed = sustained(gpu)
        images = speed / (FLOPS * TRAIN * zoo_macs(LARGE))
        shown = (f"{gpu.peak_tflops} TFLOP/s", f"{gpu.bandwidth} GB/s", f"{speed / 1e12:.1f} TFLOP/s")
        lines.append(row(gpu.name, *shown, f"{speed / gpu.peak_tflops / 1e12:.1%}", f"{images:,.0f} images/s"))
    lines += [
        "",
        f"Fake quantization with GradBoost is taken to cost {quantized:.2f} times the time of a float step.",
        "",
    ]
    lines.append(row("stage", "what is counted", "a step", "all of it", *(f"hours, {gpu.name}" for gpu in GPUS)))
    lines.append("|---|---|--:|--:|--:|--:|--:|")
    for stage in stages:
        cost = (f"{hours(stage, gpu, 1):,.0f}" for gpu in GPUS)
        lines.append(row(stage.name, stage.passes, f"{stage.per_step:.1e}", f"{stage.macs:.1e}", *cost))
    total = (f"{sum(hours(stage, gpu, 1) for stage in stages):,.0f}" for gpu in GPUS)
    lines.append(row("all", "", "", f"{sum(stage.macs for stage in stages):.1e}", *total))
    lines += ["", row("hours from start to end", *(f"{n} node{'s' * (n > 1)}" for n in NODES)), "|---|--:|--:|--:|"]
    for gpu in GPUS:
        for stage in stages[1:]:
            times = (f"{hours(stage, gpu, nodes):,.1f}" for nodes in NODES)
            lines.append(row(f"{stage.name}, {gpu.name}", *times))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/imagenet-cost.md")
    text = tables()
    print(text)
    if parser.parse_args().write:
        PAGE.write_text(BLOCK.sub(lambda _: text, PAGE.read_text()))


if __name__ == "__main__":
    main()
