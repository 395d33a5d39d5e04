"""A `NetSpec` as a live network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from frostnas.artifacts import HeadSpec, NetSpec, StemSpec
from frostnas.nets.blocks import build_block
from frostnas.nets.ops import conv_act, under
from frostnas.quant import ActivationQuantizer, ConvBN, Dropout, GlobalAveragePool, InputQuantizer, QTensor, Scheme


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """One of the maps that a backbone returns."""

    channels: int
    stride: int
    """Input pixels per pixel of the map."""


def build_stem(stem: StemSpec, scheme: Scheme) -> nn.Module:
    """`QTensor` (N, 3, H, W) -> (N, channels, H / stride, W / stride)."""
    conv = conv_act(3, stem.channels, stem.activation, scheme, stem.kernel, stride=stem.stride)
    return under(conv, stem.convention)


def build_head(in_channels: int, head: HeadSpec, scheme: Scheme) -> nn.Sequential:
    """`QTensor` (N, in_channels, H, W) -> (N, classes, 1, 1)."""
    parts = [conv_act(in_channels, head.channels, head.activation, scheme), GlobalAveragePool(scheme)]
    width = head.channels
    if head.hidden:
        parts.append(conv_act(width, head.hidden, head.activation, scheme, batch_norm=False))
        width = head.hidden
    parts += [Dropout(head.dropout), ConvBN(width, head.classes, scheme=scheme, batch_norm=False)]
    return under(nn.Sequential(*parts), head.convention)


class Net(nn.Module):
    """Image float32 (N, 3, H, W), normalised -> logits float32 (N, classes).

    With ``features_only`` the result is the list of maps at strides 4, 8, 16 and 32; `feature_maps` describes them.
    """

    def __init__(self, spec: NetSpec, scheme: Scheme | None = None, *, features_only: bool = False) -> None:
        super().__init__()
        self.spec, self.scheme = spec, scheme or Scheme()
        self.input = InputQuantizer(self.scheme)
        self.stem = build_stem(spec.stem, self.scheme)
        self.layers = nn.ModuleList()
        channels, stride = spec.stem.channels, spec.stem.stride
        ends: dict[int, tuple[int, FeatureMap]] = {}
        for index, layer in enumerate(spec.layers):
            self.layers.append(build_block(channels, layer, self.scheme))
            channels, stride = layer.out_channels, stride * layer.stride
            ends[stride] = (index, FeatureMap(channels, stride))
        self.feature_maps = [found for stride, (_, found) in ends.items() if stride >= 4]
        self._taken = {index for stride, (index, _) in ends.items() if stride >= 4} if features_only else None
        self.head = None if features_only else build_head(channels, spec.head, self.scheme)
        for name, module in self.named_modules():
            if isinstance(module, ActivationQuantizer):
                module.name = name

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        x: QTensor = self.stem(self.input(image))
        maps: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if self._taken is not None and index in self._taken:
                maps.append(x.value)
        if self.head is None:
            return maps
        return self.head(x).value.flatten(1)  # type: ignore[no-any-return]
