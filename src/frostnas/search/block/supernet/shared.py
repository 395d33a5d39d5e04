"""Work shared between candidates: one convolution for all widths, one pre-activation for all activations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.quant import ActivationQuantizer, ConvBN, HardSwish, QTensor, Scheme, fake_quantize_weight
from frostnas.quant.depthwise import depthwise_conv
from frostnas.search.block.supernet.weighing import weighted_sum


class SharedConv(nn.Module):
    """Convolution and batch norm whose first channels serve every width, before any activation.

    Batch norm always takes the statistics of the batch at hand: whichever path runs, they are that path's own, and
    none are kept that could be another's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        scheme: Scheme,
        stride: int = 1,
        dilation: int = 1,
        depthwise: bool = False,
    ) -> None:
        """Args: in_channels, out_channels: the largest widths."""
        super().__init__()
        self.scheme, self.depthwise = scheme, depthwise
        padding, groups = dilation * (kernel - 1) // 2, in_channels if depthwise else 1
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, track_running_stats=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, x: Tensor, rows: int, quantized: bool, *, share: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """(N, n, H, W) of the first n input channels -> (N, rows, H / stride, W / stride).

        Both factors act on small tensors, where they and their gradients cost nothing.

        Args:
            share: a factor on the result, float32 (), applied with batch norm's own.
            mask: a factor per input channel, float32 (n,), applied to the weight.
        """
        conv, bn = self.conv, self.bn
        weight = conv.weight[:rows] if self.depthwise else conv.weight[:rows, : x.shape[1]]
        if quantized:
            weight = fake_quantize_weight(weight, self.scheme)
        if mask is not None:
            weight = weight * mask.view(1, -1, 1, 1)
        if self.depthwise:
            y = depthwise_conv(x, weight, int(conv.stride[0]), int(conv.dilation[0]))
        else:
            y = F.conv2d(x, weight, None, conv.stride, conv.padding)
        gain, shift = bn.weight[:rows], bn.bias[:rows]
        if share is not None:
            gain, shift = gain * share, shift * share
        return F.batch_norm(y, None, None, gain, shift, training=True, eps=bn.eps)


def make_activation(name: str, scheme: Scheme) -> nn.Module:
    """Pre-activation float32 (N, C, H, W) -> `QTensor`, by the rules of `conv_act`; ranges of its own."""
    if name in ConvBN.BOUNDS:
        return ActivationQuantizer(scheme, *ConvBN.BOUNDS[name])
    return nn.Sequential(ActivationQuantizer(scheme), HardSwish(scheme))


Live = Sequence[tuple[int, Tensor]]
"""Candidates that take part by position, each with its weight, float32 ()."""


class Activations(nn.Module):
    """The activation candidates on one pre-activation, each with a range of its own."""

    def __init__(self, names: Iterable[str], scheme: Scheme) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(make_activation(name, scheme) for name in names)

    def forward(self, x: Tensor, live: Live) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return weighted_sum((self.candidates[at](x).value, weight) for at, weight in live)


def on_grid(value: Tensor) -> QTensor:
    """A mixture of values for layers that read `value` alone: no one grid holds it."""
    return QTensor(value, value.new_ones(()))


def widen(x: Tensor, channels: int) -> Tensor:
    """(N, n, H, W) -> (N, channels, H, W), filled with zeros."""
    return F.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1])) if x.shape[1] < channels else x
