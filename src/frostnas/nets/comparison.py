"""The networks that the FrostNet paper compares with (section 5), as specs of the same blocks.

Each architecture is its paper's table for 224 x 224; a hidden width is written as its ratio to the block's input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from frostnas.artifacts import BlockSpec, Convention, HeadSpec, LayerSpec, NetSpec, StemSpec, div8

SIZE = 224
TENSORFLOW = Convention("same", 1e-3)

# Rows are kernel, expand, channels, repeats, stride of the first repeat.
MOBILENET_V2_ROWS = "3,1,16,1,1 3,6,24,2,2 3,6,32,3,2 3,6,64,4,2 3,6,96,3,1 3,6,160,3,2 3,6,320,1,1"
EFFICIENTNET_LITE0_ROWS = "3,1,16,1,1 3,6,24,2,2 5,6,40,2,2 3,6,80,3,2 5,6,112,3,1 5,6,192,4,2 3,6,320,1,1"

LITES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8))
"""Channels and repeats of EfficientNet-Lite0 to 4, times those of Lite0."""

# Rows are kernel, hidden, channels, squeeze-excite (1) or not (0), stride. From a certain row on MobileNetV3 turns
# from ReLU to hard-swish.
MOBILENET_V3_ROWS = {
    "large": (
        "3,16,16,0,1 3,64,24,0,2 3,72,24,0,1 5,72,40,1,2 5,120,40,1,1 5,120,40,1,1 3,240,80,0,2 3,200,80,0,1 "
        "3,184,80,0,1 3,184,80,0,1 3,480,112,1,1 3,672,112,1,1 5,672,160,1,2 5,960,160,1,1 5,960,160,1,1"
    ),
    "small": (
        "3,16,16,1,2 3,72,24,0,2 3,88,24,0,1 5,96,40,1,2 5,240,40,1,1 5,240,40,1,1 5,120,48,1,1 5,144,48,1,1 "
        "5,288,96,1,2 5,576,96,1,1 5,576,96,1,1"
    ),
}
MOBILENET_V3_SWISH_FROM = {"large": 6, "small": 3}
MOBILENET_V3_HEADS = {
    "large": HeadSpec(channels=960, activation="hard_swish", hidden=1280),
    "small": HeadSpec(channels=576, activation="hard_swish", hidden=1024),
}
GHOSTNET_ROWS = (
    "3,16,16,0,1 3,48,24,0,2 3,72,24,0,1 5,72,40,1,2 5,120,40,1,1 3,240,80,0,2 3,200,80,0,1 3,184,80,0,1 "
    "3,184,80,0,1 3,480,112,1,1 3,672,112,1,1 5,672,160,1,2 5,960,160,0,1 5,960,160,1,1 5,960,160,0,1 5,960,160,1,1"
)


def mobilenet_v2(width: float) -> NetSpec:
    """MobileNetV2 (arXiv 1801.04381, table 2) with its channels times ``width``; its head does not get narrower."""
    name = f"mobilenet_v2_{width}".replace(".", "_")
    rows = [Row(*map(int, row.split(","))) for row in MOBILENET_V2_ROWS.split()]
    stem = StemSpec(div8(32 * width), activation="relu6")
    head = HeadSpec(div8(1280 * max(1.0, width)), activation="relu6")
    return NetSpec(name, SIZE, stem, _repeated(rows, width), head)


def efficientnet_lite(size: int) -> NetSpec:
    """EfficientNet-Lite0 to 4: EfficientNet with ReLU6 and without squeeze-excite.

    Stem, head and the repeats of the first and the last stage are those of Lite0.
    """
    width, depth = LITES[size]
    rows = [Row(*map(int, row.split(","))) for row in EFFICIENTNET_LITE0_ROWS.split()]
    inner = [replace(row, repeats=math.ceil(row.repeats * depth)) for row in rows[1:-1]]
    layers = _repeated([rows[0], *inner, rows[-1]], width)
    stem, head = StemSpec(activation="relu6"), HeadSpec(activation="relu6")
    return NetSpec(f"efficientnet_lite{size}", SIZE, stem, layers, head).under(TENSORFLOW)


@dataclass(frozen=True, slots=True)
class Row:
    """Layers that are alike but for the stride, which only the first has."""

    kernel: int
    expand: int
    channels: int
    repeats: int
    stride: int


def _repeated(rows: Sequence[Row], width: float) -> tuple[LayerSpec, ...]:
    layers = []
    for row in rows:
        block = BlockSpec(reuse="none", expand=row.expand, spatial=f"depthwise_{row.kernel}", activation="relu6")
        strides = [row.stride, *[1] * (row.repeats - 1)]
        layers += [LayerSpec(block, div8(row.channels * width), stride) for stride in strides]
    return tuple(layers)


def mobilenet_v3(size: str) -> NetSpec:
    """MobileNetV3 `large` or `small` 1.0 (arXiv 1905.02244, tables 1 and 2)."""
    layers = _by_hidden_width(MOBILENET_V3_ROWS[size], "inverted_residual", MOBILENET_V3_SWISH_FROM[size])
    stem = StemSpec(16, activation="hard_swish")
    spec = NetSpec(f"mobilenet_v3_{size}_1_0", SIZE, stem, layers, MOBILENET_V3_HEADS[size])
    return spec.under(Convention(epsilon=1e-3))


def ghostnet() -> NetSpec:
    """GhostNet 1.0 (arXiv 1911.11907, table 1)."""
    layers = _by_hidden_width(GHOSTNET_ROWS, "ghost", swish_from=None)
    return NetSpec("ghostnet_1_0", SIZE, StemSpec(16), layers, HeadSpec(channels=960, hidden=1280))


def _by_hidden_width(rows: str, kind: str, swish_from: int | None) -> tuple[LayerSpec, ...]:
    layers: list[LayerSpec] = []
    inputs = 16
    for index, row in enumerate(rows.split()):
        kernel, hidden, channels, gated, stride = map(int, row.split(","))
        block = BlockSpec(
            reuse="none",
            expand=hidden / inputs,
            spatial=f"depthwise_{kernel}",
            activation="relu" if swish_from is None or index < swish_from else "hard_swish",
            gate="squeeze_excite" if gated else "none",
            kind=kind,
        )
        layers.append(LayerSpec(block, channels, stride))
        inputs = channels
    return tuple(layers)
