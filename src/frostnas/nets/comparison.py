"""The networks that the FrostNet paper compares with (section 5), as specs of the same blocks.

Each architecture is its paper's table for 224 x 224; a hidden width is written as its ratio to the block's input.
"""

from __future__ import annotations

from frostnas.artifacts import BlockSpec, Convention, HeadSpec, LayerSpec, NetSpec, StemSpec

SIZE = 224
TENSORFLOW = Convention("same", 1e-3)

# Rows are kernel, expand, channels, repeats, stride of the first repeat.
MOBILENET_V2_ROWS = "3,1,16,1,1 3,6,24,2,2 3,6,32,3,2 3,6,64,4,2 3,6,96,3,1 3,6,160,3,2 3,6,320,1,1"
EFFICIENTNET_LITE0_ROWS = "3,1,16,1,1 3,6,24,2,2 5,6,40,2,2 3,6,80,3,2 5,6,112,3,1 5,6,192,4,2 3,6,320,1,1"

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


def mobilenet_v2() -> NetSpec:
    """MobileNetV2 1.0 (arXiv 1801.04381, table 2)."""
    return _repeated("mobilenet_v2_1_0", MOBILENET_V2_ROWS)


def efficientnet_lite0() -> NetSpec:
    """EfficientNet-Lite0: EfficientNet-B0 with ReLU6 and without squeeze-excite."""
    return _repeated("efficientnet_lite0", EFFICIENTNET_LITE0_ROWS).under(TENSORFLOW)


def _repeated(name: str, rows: str) -> NetSpec:
    layers = []
    for row in rows.split():
        kernel, expand, channels, repeats, stride = map(int, row.split(","))
        block = BlockSpec(reuse="none", expand=expand, spatial=f"depthwise_{kernel}", activation="relu6")
        layers += [LayerSpec(block, channels, stride if index == 0 else 1) for index in range(repeats)]
    return NetSpec(name, SIZE, StemSpec(activation="relu6"), tuple(layers), HeadSpec(activation="relu6"))


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
