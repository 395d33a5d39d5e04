"""One layer of the supernet: every block of the space in one module.

Widths are channel masks over the largest one (FBNetV2, section 3), so a layer holds one expansion and one projection.
Channels are ordered input first, squeezed ones behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from frostnas.artifacts import BlockSpec, LayerSpec
from frostnas.nets.ops import make_gate
from frostnas.quant import ActivationQuantizer, Add, Concat, QTensor, Scheme
from frostnas.search.block.supernet.mixture import Mixture
from frostnas.search.block.supernet.shared import Activations, SharedConv, on_grid, widen
from frostnas.search.block.supernet.spatial import MixedSpatial
from frostnas.search.block.supernet.weighing import weighted_sum
from frostnas.search.spaces.block import BlockSpace


class MixedBlock(nn.Module):
    """`InvertedResidual` with every slot open."""

    cover: Tensor

    def __init__(self, space: BlockSpace, in_channels: int, out_channels: int, stride: int, scheme: Scheme) -> None:
        super().__init__()
        slots = space.slots
        activations = [str(name) for name in slots["activation"]]
        self.in_channels, self.out_channels = in_channels, out_channels
        self.squeezed, self.hidden = _widths(space, in_channels, out_channels, stride)
        widest, broadest = max(self.squeezed), max(map(max, self.hidden))
        self.squeeze = SharedConv(in_channels, widest, scheme=scheme) if widest else None
        self.squeeze_act = Activations(activations, scheme) if widest else None
        self.concats = nn.ModuleList(Concat(scheme) for _ in self.squeezed)
        self.expand = SharedConv(in_channels + widest, broadest, scheme=scheme)
        self.expand_act = Activations(activations, scheme)
        self.spatial = MixedSpatial([str(name) for name in slots["spatial"]], activations, broadest, stride, scheme)
        gates = {str(name): make_gate(str(name), broadest, scheme) for name in slots["gate"]}
        self.gate_names = tuple(gates)
        self.gates = nn.ModuleDict({name: gate for name, gate in gates.items() if gate is not None})
        self.project = SharedConv(broadest, out_channels, scheme=scheme)
        self.projected = ActivationQuantizer(scheme)
        self.adds = tuple(choice == "add" for choice in slots["skip"])
        self.add = Add(scheme) if any(self.adds) and stride == 1 and in_channels == out_channels else None
        # (reuse, expand, broadest): 1 for the hidden channels of each pair of choices
        cover = torch.arange(broadest) < torch.tensor(self.hidden).unsqueeze(-1)
        self.register_buffer("cover", cover.float(), persistent=False)

    def forward(self, x: QTensor, mixture: Mixture) -> QTensor:
        """(N, C, H, W) -> (N, out_channels, H / stride, W / stride)."""
        quantized = self.projected.state.quantizes
        active, mask = self._active(mixture)
        y = self._reuse(x, mixture, quantized)  # (N, C + squeezed, H, W)
        y = self.expand(y, active, quantized)  # (N, active, H, W)
        y = self.expand_act(y, mixture.live("activation"))
        y = self.spatial(y, mixture, quantized)
        y = self._gate(y, mixture)
        y = self.projected(self.project(y, self.out_channels, quantized, mask=mask))
        return self._skip(x, y, mixture)

    def _active(self, mixture: Mixture) -> tuple[int, Tensor | None]:
        """Hidden channels to compute, and the weight of each, (active,), where choices differ."""
        if mixture.path is not None:
            return self.hidden[mixture.path["reuse"]][mixture.path["expand"]], None
        mask = torch.einsum("r,e,reh->h", mixture.weights["reuse"], mixture.weights["expand"], self.cover)
        return self.cover.shape[-1], mask

    def _reuse(self, x: QTensor, mixture: Mixture, quantized: bool) -> Tensor:
        live = mixture.live("reuse")
        widest = max(self.squeezed[at] for at, _ in live)
        if not widest:
            return x.value
        assert self.squeeze is not None and self.squeeze_act is not None
        q = self.squeeze_act(self.squeeze(x.value, widest, quantized), mixture.live("activation"))
        terms = []
        for at, weight in live:
            width = self.squeezed[at]
            joined = self.concats[at](x, on_grid(q[:, :width])).value if width else x.value
            terms.append((widen(joined, self.in_channels + widest), weight))
        return weighted_sum(terms)

    def _gate(self, y: Tensor, mixture: Mixture) -> Tensor:
        terms = []
        for at, weight in mixture.live("gate"):
            name = self.gate_names[at]
            terms.append((self._gated(self.gates[name], y) if name in self.gates else y, weight))
        return weighted_sum(terms)

    def _gated(self, gate: nn.Module, y: Tensor) -> Tensor:
        width = y.shape[1]
        value: Tensor = gate(on_grid(widen(y, self.cover.shape[-1]))).value
        return value[:, :width]

    def _skip(self, x: QTensor, y: QTensor, mixture: Mixture) -> QTensor:
        if self.add is None:
            return y
        added = None
        terms = []
        for at, weight in mixture.live("skip"):
            if self.adds[at]:
                added = self.add(x, y)
                terms.append((added.value, weight))
            else:
                terms.append((y.value, weight))
        if len(terms) == 1:
            return added if added is not None else y
        return on_grid(weighted_sum(terms))


def _widths(
    space: BlockSpace, in_channels: int, out_channels: int, stride: int
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Squeezed channels per reuse candidate, hidden channels per pair of reuse and expand candidates."""
    slots: dict[str, Sequence[str | float]] = dict(space.slots)

    def layer(reuse: str | float, expand: str | float) -> LayerSpec:
        return LayerSpec(BlockSpec(reuse=str(reuse), expand=float(expand)), out_channels, stride)

    squeezed = tuple(layer(reuse, 6).squeezed(in_channels) for reuse in slots["reuse"])
    hidden = tuple(
        tuple(layer(reuse, expand).hidden(in_channels) for expand in slots["expand"]) for reuse in slots["reuse"]
    )
    return squeezed, hidden
