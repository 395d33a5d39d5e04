"""The spatial slot: depthwise convolutions share the activation behind them, everything else runs whole."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from frostnas.nets.ops import make_spatial
from frostnas.quant import ConvBN, Scheme
from frostnas.search.block.supernet.mixture import Mixture
from frostnas.search.block.supernet.shared import Activations, SharedConv, on_grid, widen
from frostnas.search.block.supernet.weighing import total, weighted_sum

MIXED = "mixed"


def shares_work(module: nn.Module, channels: int) -> bool:
    """Whether a candidate is one depthwise convolution, so that mixing may happen before its activation."""
    return isinstance(module, ConvBN) and 1 < module.conv.groups == channels


class MixedSpatial(nn.Module):
    """Every spatial candidate at the largest width; narrower paths use the first channels.

    Candidates must work channel by channel. One depthwise convolution gives one pre-activation; those are mixed, and
    each activation runs once on the mixture. A candidate without weights runs once for all activations, any other
    once per activation.
    """

    def __init__(
        self, names: Sequence[str], activations: Sequence[str], channels: int, stride: int, scheme: Scheme
    ) -> None:
        super().__init__()
        self.names, self.channels = tuple(names), channels
        self.convs, self.free, self.whole = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for name in names:
            probe = make_spatial(name, channels, stride, "none", scheme)
            if shares_work(probe, channels):
                assert isinstance(probe, ConvBN)
                self.convs[name] = _shared(probe, scheme)
            elif next(probe.parameters(), None) is None:
                self.free[name] = probe
            else:
                self.whole[name] = nn.ModuleList(
                    make_spatial(name, channels, stride, activation, scheme) for activation in activations
                )
        keys = (MIXED, *self.convs) if self.convs else ()
        self.activations = nn.ModuleDict({key: Activations(activations, scheme) for key in keys})

    def forward(self, x: Tensor, mixture: Mixture, quantized: bool) -> Tensor:
        """(N, n, H, W), n up to the largest width -> (N, n, H / stride, W / stride)."""
        live = [(self.names[at], weight) for at, weight in mixture.live("spatial")]
        convs = [(name, weight) for name, weight in live if name in self.convs]
        terms = (
            [(self._convolved(x, convs, mixture, quantized), total([weight for _, weight in convs]))] if convs else []
        )
        for name, weight in live:
            if name in self.free:
                terms.append((self.free[name](on_grid(x)).value, weight))
            elif name in self.whole:
                terms.append((self._whole(self.whole[name], x, mixture), weight))
        return weighted_sum(terms)

    def _convolved(self, x: Tensor, convs: Sequence[tuple[str, Tensor]], mixture: Mixture, quantized: bool) -> Tensor:
        """The mixture of the convolutions alone, activated."""
        rows, name = x.shape[1], convs[0][0]
        if len(convs) == 1:
            value = self.convs[name](x, rows, quantized)
        else:
            share = total([weight for _, weight in convs])
            value = total([self.convs[name](x, rows, quantized, share=weight / share) for name, weight in convs])
        key = MIXED if mixture.path is None else name
        return self.activations[key](value, mixture.live("activation"))  # type: ignore[no-any-return]

    def _whole(self, modules: nn.Module, x: Tensor, mixture: Mixture) -> Tensor:
        assert isinstance(modules, nn.ModuleList)
        wide = on_grid(widen(x, self.channels))
        mixed = weighted_sum((modules[at](wide).value, weight) for at, weight in mixture.live("activation"))
        return mixed[:, : x.shape[1]]


def _shared(probe: ConvBN, scheme: Scheme) -> SharedConv:
    conv = probe.conv
    return SharedConv(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0],
        scheme=scheme,
        stride=conv.stride[0],
        dilation=conv.dilation[0],
        depthwise=True,
    )
