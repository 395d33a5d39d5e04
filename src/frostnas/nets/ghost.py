"""GhostNet's bottleneck (arXiv 1911.11907, figure 4): half of each 1x1 convolution's output is made cheaply."""

from __future__ import annotations

from torch import nn

from frostnas.artifacts import LayerSpec
from frostnas.nets.ops import SqueezeExcite, conv_act
from frostnas.quant import Add, Concat, ConvBN, QTensor, Scheme


class Ghost(nn.Module):
    """(N, C, H, W) -> (N, channels, H, W): half by a 1x1 convolution, half by a 3x3 depthwise one on that half."""

    def __init__(self, in_channels: int, channels: int, activation: str, scheme: Scheme) -> None:
        super().__init__()
        half = channels // 2
        self.primary = conv_act(in_channels, half, activation, scheme)
        self.cheap = conv_act(half, half, activation, scheme, 3, groups=half)
        self.concat = Concat(scheme)

    def forward(self, x: QTensor) -> QTensor:
        y = self.primary(x)
        return self.concat(y, self.cheap(y))  # type: ignore[no-any-return]


class GhostBottleneck(nn.Module):
    """Ghost expansion, depthwise convolution where the stride is 2, gate, ghost projection, shortcut.

    Where the shapes differ the shortcut is a depthwise and a 1x1 convolution, unless the block has no skip.
    """

    def __init__(self, in_channels: int, layer: LayerSpec, scheme: Scheme) -> None:
        super().__init__()
        block, kernel, stride, channels = layer.block, layer.block.kernel, layer.stride, layer.out_channels
        hidden = even(layer.hidden(in_channels))
        self.expand = Ghost(in_channels, hidden, block.activation, scheme)
        self.spatial = (
            ConvBN(hidden, hidden, kernel, scheme=scheme, stride=stride, groups=hidden) if stride > 1 else None
        )
        self.gate = SqueezeExcite(hidden, scheme, divisor=4) if block.gate == "squeeze_excite" else None
        self.project = Ghost(hidden, channels, "none", scheme)
        self.add = Add(scheme) if block.skip == "add" else None
        self.shortcut = None
        if self.add is not None and not layer.has_skip(in_channels):
            self.shortcut = nn.Sequential(
                ConvBN(in_channels, in_channels, kernel, scheme=scheme, stride=stride, groups=in_channels),
                ConvBN(in_channels, channels, scheme=scheme),
            )

    def forward(self, x: QTensor) -> QTensor:
        y = self.expand(x)  # (N, hidden, H, W)
        if self.spatial is not None:
            y = self.spatial(y)  # (N, hidden, H / stride, W / stride)
        if self.gate is not None:
            y = self.gate(y)
        y = self.project(y)
        if self.add is None:
            return y  # type: ignore[no-any-return]
        return self.add(self.shortcut(x) if self.shortcut is not None else x, y)  # type: ignore[no-any-return]


def even(channels: int) -> int:
    """The next even number: a ghost makes both its halves alike."""
    return channels + channels % 2
