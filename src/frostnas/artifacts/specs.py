"""What a network is: block genotypes, layers and whole networks as values.

Pure data and arithmetic on channel counts; `nets` turns a spec into a module, `latency` into workloads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated

from msgspec import Meta

from frostnas.artifacts.limits import (
    Channels,
    Classes,
    Dropout,
    Expansion,
    Kernel,
    Line,
    Mean,
    NoChannels,
    Pixels,
    Slot,
    Std,
    Stride,
)
from frostnas.errors import InputError

MOST_WEIGHTS = 100_000_000
"""Of a network: 400 MB in floating point, ten times the largest of the zoo."""

Epsilon = Annotated[float, Meta(gt=0, le=1)]


def divisible(value: float, divisor: int) -> int:
    """Nearest multiple of ``divisor``, at least it, never below 0.9 of ``value`` (MobileNet's rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def div8(value: float) -> int:
    """`divisible` by 8, as FrostNet's channels are."""
    return divisible(value, 8)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What a network expects its pixels to be normalised by; of RGB pixels scaled to 0..1."""

    mean: tuple[Mean, Mean, Mean]
    std: tuple[Std, Std, Std]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What nearly all networks trained on ImageNet expect."""


@dataclass(frozen=True, slots=True)
class Convention:
    """What frameworks do in different ways; with it the weights of another one give the same numbers here."""

    padding: str = "symmetric"
    """`symmetric`, or `same`: as TensorFlow pads, which for stride 2 on an even side is one pixel more at the end."""
    epsilon: Epsilon = 1e-5
    """Of batch norm."""

    def __post_init__(self) -> None:
        if self.padding not in ("symmetric", "same"):
            raise InputError(f"padding={self.padding:.40}: expected symmetric or same")


@dataclass(frozen=True, slots=True)
class Source:
    """What weights expect of a network and of its images."""

    convention: Convention
    normalisation: Normalisation


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """A block's genotype: one choice per slot, without channel counts.

    The defaults are the published Frost bottleneck (FrostNet, section 4).
    """

    reuse: str = "squeeze_4"
    """What is concatenated to the input before expansion: `none`, or `squeeze_R` for a 1x1 to C // R channels."""
    expand: Expansion = 6
    """Hidden channels over the channels that enter the expansion; 1 leaves the expansion out."""
    spatial: str = "depthwise_3"
    """`depthwise_K`, `dilated_K` or `max_pool_K`."""
    activation: Slot = "relu"
    """`relu`, `relu6` or `hard_swish`, after every convolution but the last."""
    gate: Slot = "none"
    """`none` or `squeeze_excite` between the spatial operation and the projection."""
    skip: str = "add"
    """`add` (where shapes allow) or `none`."""
    kind: Slot = "inverted_residual"
    """Which registered block class reads the slots: `inverted_residual` or `ghost`."""
    convention: Convention = Convention()

    def __post_init__(self) -> None:
        if self.reuse != "none" and not re.fullmatch(r"squeeze_[1-9]\d{0,2}", self.reuse):
            raise InputError(f"reuse={self.reuse:.40}: expected none or squeeze_R with a whole number R up to 999")
        if not re.fullmatch(r"[a-z_]+_[1-9]\d?", self.spatial):
            raise InputError(f"spatial={self.spatial:.40}: expected an operation and its window, like depthwise_3")
        if self.expand < 1:
            raise InputError(f"expand={self.expand}: expected at least 1")
        if self.skip not in ("none", "add"):
            raise InputError(f"skip={self.skip}: expected none or add")

    @property
    def kernel(self) -> int:
        """Side of the spatial operation's window in pixels."""
        return int(self.spatial.rpartition("_")[2])

    @property
    def squeeze(self) -> int:
        """R of `squeeze_R`, the reduction before the concat; 0 where nothing is squeezed."""
        return int(self.reuse.rpartition("_")[2]) if self.reuse.startswith("squeeze_") else 0


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One block in its place: the genotype with its output channels and stride."""

    block: BlockSpec
    out_channels: Channels
    stride: Stride

    def squeezed(self, in_channels: int) -> int:
        """Channels that the squeeze adds by concatenation, 0 where it is absent or would be under 8."""
        ratio = self.block.squeeze
        if not ratio or self.block.expand <= 1 or in_channels // ratio < 8:
            return 0
        return div8(in_channels // ratio)

    def hidden(self, in_channels: int) -> int:
        """Channels of the spatial operation."""
        width = in_channels + self.squeezed(in_channels)
        return round(width * self.block.expand) if self.block.expand > 1 else width

    def weights(self, in_channels: int) -> int:
        """Weights of the block's convolutions, the gate's left out."""
        squeezed, hidden = self.squeezed(in_channels), self.hidden(in_channels)
        expansion = (in_channels + squeezed) * hidden if self.block.expand > 1 else 0
        return in_channels * squeezed + expansion + hidden * (self.block.kernel**2 + self.out_channels)

    def has_skip(self, in_channels: int) -> bool:
        """Whether the input is added to the output."""
        return self.block.skip == "add" and self.stride == 1 and in_channels == self.out_channels


@dataclass(frozen=True, slots=True)
class StemSpec:
    """The first convolution, from RGB."""

    channels: Channels = 32
    stride: Stride = 2
    kernel: Kernel = 3
    activation: Slot = "relu"
    convention: Convention = Convention()


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """1x1 convolution, global average pool, optional hidden layer, dropout, classifier."""

    channels: Channels = 1280
    activation: Slot = "relu"
    classes: Classes = 1000
    hidden: NoChannels = 0
    """Channels of a fully connected layer after the pool (MobileNetV3, GhostNet); 0 for none."""
    dropout: Dropout = 0.2
    convention: Convention = Convention()


@dataclass(frozen=True, slots=True)
class NetSpec:
    """A whole network at one input size; what `net.json` holds."""

    name: Line
    image_size: Pixels
    stem: StemSpec
    layers: Annotated[tuple[LayerSpec, ...], Meta(max_length=1000)]
    head: HeadSpec = field(default_factory=HeadSpec)

    def __post_init__(self) -> None:
        if self.weights > MOST_WEIGHTS:
            raise InputError(f"{self.weights:,} weights: expected at most {MOST_WEIGHTS:,} in a network")

    @property
    def weights(self) -> int:
        """Weights of the convolutions and the classifier, those of gates left out."""
        stem, head, channels = self.stem, self.head, self.stem.channels
        total = 3 * stem.kernel**2 * channels
        for layer in self.layers:
            total += layer.weights(channels)
            channels = layer.out_channels
        width = head.hidden or head.channels
        return total + head.channels * (channels + head.hidden) + width * head.classes

    def with_classes(self, classes: int) -> NetSpec:
        return replace(self, head=replace(self.head, classes=classes))

    def at_size(self, image_size: int) -> NetSpec:
        return replace(self, image_size=image_size)

    def under(self, convention: Convention) -> NetSpec:
        """The same network with all its parts under ``convention``."""
        layers = (replace(layer, block=replace(layer.block, convention=convention)) for layer in self.layers)
        stem, head = replace(self.stem, convention=convention), replace(self.head, convention=convention)
        return replace(self, stem=stem, layers=tuple(layers), head=head)

    def workloads(self) -> Iterator[Workload]:
        """The net's parts in order, each at its input shape; what a latency table is looked up with."""
        yield Workload(self.stem, 3, self.image_size)
        channels, size = self.stem.channels, -(-self.image_size // self.stem.stride)
        for layer in self.layers:
            yield Workload(layer, channels, size)
            channels, size = layer.out_channels, -(-size // layer.stride)
        yield Workload(self.head, channels, size)


@dataclass(frozen=True, slots=True)
class Workload:
    """A stem, block or head at one square input shape, (1, in_channels, size, size) for batch 1."""

    part: StemSpec | LayerSpec | HeadSpec
    in_channels: int
    size: int
    """Height and width of the input in pixels."""

    @property
    def kind(self) -> str:
        """`stem`, `block` or `head`."""
        match self.part:
            case StemSpec():
                return "stem"
            case LayerSpec():
                return "block"
            case HeadSpec():
                return "head"

    @property
    def key(self) -> str:
        """A name that tells this workload from every other; equal keys cost the same.

        A squeeze that the channel count rules out, a skip that the shapes rule out, and a padding that makes no
        difference at this size, do not count.
        """
        match self.part:
            case StemSpec(channels, stride, kernel, activation):
                body = f"c{channels}-k{kernel}-s{stride}-{activation}{self._padding(self.part.convention, stride)}"
            case LayerSpec(block, out_channels, stride):
                squeeze = block.reuse if self.part.squeezed(self.in_channels) else "none"
                skip = "add" if self.part.has_skip(self.in_channels) else "none"
                slots = (
                    block.kind,
                    squeeze,
                    f"e{block.expand:g}",
                    block.spatial,
                    block.activation,
                    block.gate,
                )
                body = f"c{out_channels}-s{stride}-" + "-".join((*slots, f"skip_{skip}"))
                body += self._padding(block.convention, stride)
            case HeadSpec(channels, activation, classes, hidden, _):
                body = f"c{channels}-h{hidden}-n{classes}-{activation}"
        return f"{self.kind}-i{self.in_channels}x{self.size}-{body}"

    def _padding(self, convention: Convention, stride: int) -> str:
        return "-same" if convention.padding == "same" and self.size % stride != 1 % stride else ""
