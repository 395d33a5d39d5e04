"""Named networks and blocks: the published FrostNets (FrostNet, section 4) and those it compares with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec, div8
from frostnas.errors import InputError
from frostnas.nets.comparison import LITES, efficientnet_lite, ghostnet, mobilenet_v2, mobilenet_v3

FROST = BlockSpec()
NAMED_BLOCKS = {
    "frost": FROST,
    "mobilenet_v2": BlockSpec(reuse="none", activation="relu6"),
    "mobilenet_v3": BlockSpec(reuse="none", activation="hard_swish", gate="squeeze_excite"),
    "ghost": BlockSpec(reuse="none", kind="ghost"),
}
"""Published blocks as points of the block space."""

# Rows are kernel, channels, expand, squeeze, stride.
FROSTNET_ROWS = {
    "large": (
        "3,16,1,1,1 3,24,6,4,2 3,24,3,4,1 5,40,6,4,2 3,40,3,4,1 5,80,6,4,2 5,80,3,4,1 5,80,3,4,1 5,96,6,4,1 "
        "5,96,3,4,1 3,96,3,4,1 3,96,3,4,1 5,192,6,2,2 5,192,6,4,1 5,192,6,4,1 5,192,3,4,1 5,192,3,4,1 5,320,6,2,1"
    ),
    "base": (
        "3,16,1,1,1 5,24,6,4,2 3,24,3,4,1 5,40,3,4,2 5,40,3,4,1 5,80,3,4,2 3,80,3,4,1 5,96,3,2,1 "
        "3,96,3,4,1 5,96,3,4,1 5,96,3,4,1 5,192,6,2,2 5,192,3,2,1 5,192,3,2,1 5,192,3,2,1 5,320,6,2,1"
    ),
    "small": (
        "3,16,1,1,1 5,24,3,4,2 3,24,3,4,1 5,40,3,4,2 5,80,3,4,2 5,80,3,4,1 3,80,3,4,1 5,96,3,2,1 "
        "5,96,3,4,1 5,96,3,4,1 5,192,6,4,2 5,192,6,4,1 5,192,6,4,1 5,320,6,2,1"
    ),
}
WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.25)
MOBILENETS = (0.5, 1.0, 1.4)
"""Widths of MobileNetV2 that trained weights are published of."""


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """A named network."""

    name: str
    family: str
    width: float
    build: Callable[[], NetSpec]
    """At 224 x 224 with 1000 classes."""

    def spec(self, classes: int = 1000, image_size: int = 224) -> NetSpec:
        return self.build().with_classes(classes).at_size(image_size)


def frostnet(size: str, width: float) -> NetSpec:
    """FrostNet `small`, `base` or `large` with its channels times ``width``."""
    layers = []
    for row in FROSTNET_ROWS[size].split():
        kernel, channels, expand, squeeze, stride = map(int, row.split(","))
        reuse = f"squeeze_{squeeze}" if expand > 1 else "none"
        block = BlockSpec(reuse=reuse, expand=expand, spatial=f"depthwise_{kernel}")
        layers.append(LayerSpec(block, div8(int(channels * width)), stride))
    stem = StemSpec(div8(int(32 * min(1.0, width))))
    return NetSpec(_name(f"frostnet_{size}", width), 224, stem, tuple(layers), HeadSpec())


def _name(family: str, width: float) -> str:
    return f"{family}_{width}".replace(".", "_")


def _frostnets() -> list[ZooEntry]:
    return [
        ZooEntry(_name(f"frostnet_{size}", width), f"frostnet_{size}", width, partial(frostnet, size, width))
        for size in ("small", "base", "large")
        for width in WIDTHS
    ]


COMPARISONS = (
    *(
        ZooEntry(_name("mobilenet_v2", width), "mobilenet_v2", width, partial(mobilenet_v2, width))
        for width in MOBILENETS
    ),
    ZooEntry("mobilenet_v3_large_1_0", "mobilenet_v3_large", 1.0, partial(mobilenet_v3, "large")),
    ZooEntry("mobilenet_v3_small_1_0", "mobilenet_v3_small", 1.0, partial(mobilenet_v3, "small")),
    *(
        ZooEntry(f"efficientnet_lite{size}", "efficientnet_lite", width, partial(efficientnet_lite, size))
        for size, (width, _) in enumerate(LITES)
    ),
    ZooEntry("ghostnet_1_0", "ghostnet", 1.0, ghostnet),
)
_ENTRIES = {entry.name: entry for entry in (*_frostnets(), *COMPARISONS)}


def zoo_entries() -> tuple[ZooEntry, ...]:
    """All named networks."""
    return tuple(_ENTRIES.values())


def zoo_names() -> tuple[str, ...]:
    """Names that `create_model` and `net=` take."""
    return tuple(_ENTRIES)


def zoo_spec(name: str, classes: int = 1000, image_size: int = 224) -> NetSpec:
    """The spec of a named network.

    Raises:
        InputError: there is no network of that name, or a number is not positive.
    """
    if classes < 1 or image_size < 1:
        raise InputError(f"{name}: classes={classes}, image_size={image_size}; expected at least 1 of each")
    if name not in _ENTRIES:
        raise InputError(f"{name}: no such network; expected one of {', '.join(_ENTRIES)}")
    return _ENTRIES[name].spec(classes, image_size)


def zoo_family(spec: NetSpec) -> str:
    """The family of a named network; empty for others."""
    entry = _ENTRIES.get(spec.name)
    return entry.family if entry else ""
