"""How others name the parts of the zoo's networks, by which a file of weights is recognised and read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from frostnas.artifacts import IMAGENET, Convention, LayerSpec, NetSpec, Normalisation, Source
from frostnas.nets.comparison import TENSORFLOW
from frostnas.nets.count import shapes_only
from frostnas.nets.net import Net

STEM, HEAD, HIDDEN, CLASSIFIER = "stem", "head", "hidden", "classifier"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a network a tensor is."""

    layer: int
    """Of `NetSpec.layers`; -1 outside of them."""
    slot: str
    """`stem`, `head`, `hidden`, `classifier`, or the block's part, such as `expand` or `gate.reduce`."""
    part: str
    """`conv` or `bn`."""
    leaf: str
    """`weight`, `bias`, `running_mean` or `running_var`."""


Names = Callable[[Place], str]


@dataclass(frozen=True, slots=True)
class Naming:
    """Whose code names tensors in this way."""

    whose: str
    mark: str
    """A tensor that files in this naming hold and others do not."""
    sources: Mapping[str, Source]
    """By family of the zoo."""
    names: Callable[[NetSpec], Names]

    def theirs(self, spec: NetSpec) -> dict[str, str]:
        """Their name of every parameter and batch-norm statistic by ours; `num_batches_tracked` is left out."""
        name = self.names(spec)
        return {ours: name(place) for ours, place in places(spec).items()}


def naming_of(keys: Collection[str]) -> Naming | None:
    """The naming that a file with these keys is in; None for ours and for unknown ones."""
    return next((naming for naming in NAMINGS if naming.mark in keys), None)


def is_ours(keys: Collection[str]) -> bool:
    """Whether the keys are those of a `Net`."""
    return "stem.conv.weight" in keys or "stem.0.conv.weight" in keys


def places(spec: NetSpec) -> dict[str, Place]:
    """The place of every parameter and batch-norm statistic of a network by its name."""
    with shapes_only():
        names = [name for name in Net(spec).state_dict() if ".conv." in name or ".bn." in name]
    return {name: _place(name, bool(spec.head.hidden)) for name in names if not name.endswith("num_batches_tracked")}


def _place(name: str, hidden: bool) -> Place:
    """`0.` before `conv` is a convolution in front of a hard-swish."""
    found = re.fullmatch(r"(?:layers\.(\d+)\.)?(shortcut\.\d|head\.\d|[a-z.]+?)(?:\.0)?\.(conv|bn)\.(\w+)", name)
    assert found is not None, name
    layer, slot, part, leaf = found.groups()
    if slot.startswith("head."):
        slot = {"head.0": HEAD, "head.2": HIDDEN}.get(slot, CLASSIFIER) if hidden else _head(slot)
    return Place(int(layer or -1), slot, part, leaf)


def _head(slot: str) -> str:
    return HEAD if slot == "head.0" else CLASSIFIER


def _stages(layers: tuple[LayerSpec, ...]) -> list[str]:
    """`stage.number` of each layer; a stage begins where the channels change or the map gets smaller."""
    starts = (b.stride == 2 or b.out_channels != a.out_channels for a, b in pairwise(layers))
    stage = list(accumulate(map(int, starts), initial=0))
    return [f"{one}.{index - stage.index(one)}" for index, one in enumerate(stage)]


def _torchvision(spec: NetSpec) -> Names:
    """`features.N.conv.M` in MobileNetV2, `features.N.block.M` in V3."""
    v3, after = bool(spec.head.hidden), len(spec.layers) + 1

    def unit(place: Place) -> int:
        block = spec.layers[place.layer].block
        slots = [*(["expand"] if block.expand > 1 else []), "spatial", *(["gate"] if block.gate != "none" else [])]
        return [*slots, "project"].index(place.slot.partition(".")[0])

    def name(place: Place) -> str:
        number = int(place.part == "bn")
        match place.slot:
            case "stem":
                return f"features.0.{number}.{place.leaf}"
            case "head":
                return f"features.{after}.{number}.{place.leaf}"
            case "hidden":
                return f"classifier.0.{place.leaf}"
            case "classifier":
                return f"classifier.{3 if v3 else 1}.{place.leaf}"
            case "gate.reduce" | "gate.restore":
                convolution = "fc1" if place.slot == "gate.reduce" else "fc2"
                return f"features.{place.layer + 1}.block.{unit(place)}.{convolution}.{place.leaf}"
        if not v3 and place.slot == "project":
            return f"features.{place.layer + 1}.conv.{unit(place) + number}.{place.leaf}"
        return f"features.{place.layer + 1}.{'block' if v3 else 'conv'}.{unit(place)}.{number}.{place.leaf}"

    return name


TIMM_PARTS = {
    True: {"expand": ("conv_pw", "bn1"), "spatial": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")},
    False: {"spatial": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")},
}
"""By whether the block expands."""
GHOST_PARTS = {
    "expand.primary": ("ghost1.primary_conv.0", "ghost1.primary_conv.1"),
    "expand.cheap": ("ghost1.cheap_operation.0", "ghost1.cheap_operation.1"),
    "spatial": ("conv_dw", "bn_dw"),
    "project.primary": ("ghost2.primary_conv.0", "ghost2.primary_conv.1"),
    "project.cheap": ("ghost2.cheap_operation.0", "ghost2.cheap_operation.1"),
    "shortcut.0": ("shortcut.0", "shortcut.1"),
    "shortcut.1": ("shortcut.2", "shortcut.3"),
}


def _timm(spec: NetSpec) -> Names:
    """`blocks.STAGE.N`; a last stage of its own is the convolution before the pool where a hidden layer follows."""
    layers, ghost = spec.layers, spec.layers[0].block.kind == "ghost"
    if ghost:  # a stage is one layer of stride 2, or all between
        runs = [list(run) for _, run in groupby(layers, lambda layer: layer.stride)]
        blocks = [f"{stage}.{index}" for stage, run in enumerate(runs) for index in range(len(run))]
    else:
        blocks = _stages(layers)
    last = f"blocks.{int(blocks[-1].partition('.')[0]) + 1}.0"

    def name(place: Place) -> str:
        batch_norm = place.part == "bn"
        match place.slot:
            case "stem":
                return f"{'bn1' if batch_norm else 'conv_stem'}.{place.leaf}"
            case "head" if spec.head.hidden:
                return f"{last}.{'bn1' if batch_norm else 'conv'}.{place.leaf}"
            case "head":
                return f"{'bn2' if batch_norm else 'conv_head'}.{place.leaf}"
            case "hidden":
                return f"conv_head.{place.leaf}"
            case "classifier":
                return f"classifier.{place.leaf}"
            case "gate.reduce" | "gate.restore":
                convolution = "conv_reduce" if place.slot == "gate.reduce" else "conv_expand"
                return f"blocks.{blocks[place.layer]}.se.{convolution}.{place.leaf}"
        parts = GHOST_PARTS if ghost else TIMM_PARTS[layers[place.layer].block.expand > 1]
        return f"blocks.{blocks[place.layer]}.{parts[place.slot][batch_norm]}.{place.leaf}"

    return name


LITE_PARTS = {
    "stem": ("_conv_stem", "_bn0"),
    "head": ("_conv_head", "_bn1"),
    "expand": ("_expand_conv", "_bn0"),
    "spatial": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
    "classifier": ("_fc", ""),
}


def _lite_package(spec: NetSpec) -> Names:
    """`_blocks.N`, over all layers."""

    def name(place: Place) -> str:
        block = f"_blocks.{place.layer}." if place.layer >= 0 else ""
        return f"{block}{LITE_PARTS[place.slot][place.part == 'bn']}.{place.leaf}"

    return name


FROSTNET_PARTS = {
    "stem": "conv1",
    "head": "last_layer",
    "squeeze": "squeeze_conv",
    "expand": "conv1",
    "spatial": "conv2",
    "project": "reduce_conv",
}


def _frostnet(spec: NetSpec) -> Names:
    """`layerS.N`: a stage per stride of 2 from the second on, and one for the last layer."""
    strides = accumulate(int(layer.stride == 2) for layer in spec.layers[:-1])
    filled: Counter[int] = Counter()
    blocks = []
    for stage in [*(max(1, count) for count in strides), 5]:
        blocks.append(f"layer{stage}.{filled[stage]}.")
        filled[stage] += 1

    def name(place: Place) -> str:
        if place.slot == CLASSIFIER:
            return f"classifier.2.{place.leaf}"
        block = blocks[place.layer] if place.layer >= 0 else ""
        return f"{block}{FROSTNET_PARTS[place.slot]}.conv.{int(place.part == 'bn')}.{place.leaf}"

    return name


_IMAGENET = Source(Convention(), IMAGENET)
NAMINGS = (
    Naming(
        "torchvision",
        "features.0.0.weight",
        {
            "mobilenet_v2": _IMAGENET,
            "mobilenet_v3_large": Source(Convention(epsilon=1e-3), IMAGENET),
            "mobilenet_v3_small": Source(Convention(epsilon=1e-3), IMAGENET),
        },
        _torchvision,
    ),
    Naming(
        "timm",
        "conv_stem.weight",
        {
            "mobilenet_v2": _IMAGENET,
            "mobilenet_v3_large": _IMAGENET,
            "mobilenet_v3_small": _IMAGENET,
            "ghostnet": _IMAGENET,
            # Those of TensorFlow; timm's own `efficientnet_lite0` differs in both, and can be had by `timm:NAME` only.
            "efficientnet_lite": Source(TENSORFLOW, Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))),
        },
        _timm,
    ),
    Naming(
        "EfficientNet-Lite's PyTorch package",
        "_conv_stem.weight",
        {"efficientnet_lite": Source(TENSORFLOW, Normalisation((127 / 255,) * 3, (128 / 255,) * 3))},
        _lite_package,
    ),
    Naming(
        "the FrostNet authors",
        "conv1.conv.0.weight",
        dict.fromkeys(("frostnet_small", "frostnet_base", "frostnet_large"), _IMAGENET),
        _frostnet,
    ),
)
