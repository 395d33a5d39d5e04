"""The supernet: every candidate block of every layer, of which each step runs one path."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from frostnas.nets.blocks import build_block
from frostnas.nets.net import build_head, build_stem
from frostnas.quant import ActivationQuantizer, QTensor, Scheme
from frostnas.search.spaces.network import Arch, NetworkSpace
from frostnas.search.spaces.trellis import Edge, Slot


class Supernet(nn.Module):
    """Candidates with batch norm and ranges of their own; stem, first block and head are shared.

    A candidate belongs to one layer of one stage and to its input channels, so that no weight is cut or padded.
    """

    def __init__(self, space: NetworkSpace, scheme: Scheme) -> None:
        super().__init__()
        self.space = space
        self.input = ActivationQuantizer(scheme)
        self.stem = build_stem(space.stem, scheme)
        self.candidates = nn.ModuleDict()
        self.first = build_block(space.stem.channels, space.first, scheme)
        for edges in space.trellis.edges:
            for edge in edges:
                kind, stage, layer = edge.slot
                if kind == "op":
                    (part,) = edge.parts
                    self.candidates[_name(stage, layer, part.key)] = build_block(part.in_channels, part.part, scheme)  # type: ignore[arg-type]
        # Last, so that the classifier is the last layer, which is how the weight-decay groups find it.
        self.heads = nn.ModuleDict({str(width): build_head(width, space.head, scheme) for width in space.widths[-1]})
        for name, module in self.named_modules():
            if isinstance(module, ActivationQuantizer):
                module.name = name

    def candidate(self, edge: Edge) -> nn.Module | None:
        """The block that a decision stands for; None for a width or a depth."""
        kind, stage, layer = edge.slot
        return self.candidates[_name(stage, layer, edge.parts[0].key)] if kind == "op" else None

    def path(self, arch: Arch) -> nn.ModuleList:
        """Every module that the path runs, shared ones included."""
        blocks = [block for edge in self.space.to_path(arch) if (block := self.candidate(edge)) is not None]
        return nn.ModuleList([self.input, self.stem, self.first, *blocks, self.head(arch)])

    def head(self, arch: Arch) -> nn.Module:
        return self.heads[str(arch[-1].width)]

    def forward(self, image: Tensor, arch: Arch, gates: Mapping[Slot, Tensor] | None = None) -> Tensor:
        """Image float32 (N, 3, H, W), normalised -> logits float32 (N, classes) of one path.

        Args:
            gates: scalars () that multiply the output of their decisions; a strategy gets gradients through them.
        """
        x: QTensor = self.first(self.stem(self.input(image)))
        for edge in self.space.to_path(arch):
            block = self.candidate(edge)
            x = block(x) if block is not None else x
            if gates is not None and edge.slot in gates:
                x = QTensor(x.value * gates[edge.slot].to(x.value), x.scale)
        return self.head(arch)(x).value.flatten(1)  # type: ignore[no-any-return]


def _name(stage: int, layer: int, key: str) -> str:
    return f"{stage}_{layer}_{key.replace('.', 'p')}"
