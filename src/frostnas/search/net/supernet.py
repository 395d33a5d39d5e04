"""The supernet: every candidate block of every layer, of which each step runs one path."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from frostnas.artifacts import LayerSpec
from frostnas.errors import InputError
from frostnas.nets import Net, build_block, build_head, build_stem
from frostnas.quant import ActivationQuantizer, InputQuantizer, QTensor, Scheme
from frostnas.resize import resized
from frostnas.search.net.sharing import SharedWeights
from frostnas.search.spaces.arch import Arch
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.trellis import Edge, Slot


class Supernet(nn.Module):
    """Candidates with batch norm and ranges of their own; stem, first block and head belong to all networks.

    The candidates of a layer have their weights in common, or each its own, which takes many more steps to train.

    Raises (when built):
        InputError: weights cannot be shared between blocks of this kind.
    """

    def __init__(self, space: NetworkSpace, scheme: Scheme, *, share_weights: bool = True) -> None:
        super().__init__()
        if share_weights and _has_ghosts_to_choose_from(space):
            raise InputError(
                "search_net.share_weights=true: a ghost makes half of its channels from the other half, so the first "
                "channels of a wide one are not those of a narrow one; expected false with block=ghost"
            )
        self.space, self.scheme = space, scheme
        self.input = InputQuantizer(scheme)
        self.stem = build_stem(space.stem, scheme)
        self.first = build_block(space.stem.channels, space.first, scheme)
        self.candidates = nn.ModuleDict()
        self.shared = nn.ModuleDict()
        layers: dict[str, list[tuple[int, nn.Module]]] = {}
        for edge in (edge for edges in space.trellis.edges for edge in edges if edge.slot[0] == "op"):
            part = edge.parts[0]
            assert isinstance(part.part, LayerSpec)
            if _name(edge) in self.candidates:  # images of another size go through the same
                continue
            block = build_block(part.in_channels, part.part, scheme)
            self.candidates[_name(edge)] = block
            layers.setdefault(_layer(edge), []).append((part.in_channels, block))
        if share_weights:
            self.shared.update({layer: SharedWeights(blocks) for layer, blocks in layers.items()})
        # Last, so that the classifier is the last layer, which is how the weight-decay groups find it.
        last = space.stages[-1].widths
        self.heads = nn.ModuleDict({str(width): build_head(width, space.head, scheme) for width in last})
        for name, module in self.named_modules():
            if isinstance(module, ActivationQuantizer):
                module.name = name

    def candidate(self, edge: Edge) -> nn.Module | None:
        """The block that a decision stands for, with its weights in place; None for a width or a depth."""
        if edge.slot[0] != "op":
            return None
        block = self.candidates[_name(edge)]
        if self.shared:
            self.shared[_layer(edge)].bind(block)  # type: ignore[operator]
        return block

    def candidates_of(self, stage: int, layer: int) -> list[nn.Module]:
        """All candidates of one place."""
        return [block for name, block in self.candidates.items() if name.startswith(f"{stage}_{layer}_")]

    def shared_of(self, stage: int, layer: int) -> SharedWeights | None:
        """What the candidates of one place have in common."""
        return self.shared[f"{stage}_{layer}"] if self.shared else None  # type: ignore[return-value]

    def path(self, arch: Arch) -> nn.ModuleList:
        """Every module that the path runs, shared ones included."""
        blocks = [block for edge in self.space.to_path(arch) if (block := self.candidate(edge)) is not None]
        return nn.ModuleList([self.input, self.stem, self.first, *blocks, self.head(arch)])

    def head(self, arch: Arch) -> nn.Module:
        return self.heads[str(arch.stages[-1].width)]

    def forward(self, image: Tensor, arch: Arch, gates: Mapping[Slot, Tensor] | None = None) -> Tensor:
        """Image float32 (N, 3, S, S), normalised, of any size -> logits float32 (N, classes) of one path.

        The images are brought to the size that the path chooses.

        Args:
            gates: scalars () that multiply the output of their decisions; a strategy gets gradients through them.
        """
        x: QTensor = self.first(self.stem(self.input(resized(image, arch.size))))
        for edge in self.space.to_path(arch):
            block = self.candidate(edge)
            x = block(x) if block is not None else x
            if gates is not None and edge.slot in gates:
                x = QTensor(x.value * gates[edge.slot].to(x.value), x.scale)
        return self.head(arch)(x).value.flatten(1)  # type: ignore[no-any-return]

    def extract(self, arch: Arch) -> Net:
        """The path as a network of its own, with copies of its weights, statistics and ranges."""
        net = Net(self.space.decode(arch), self.scheme)
        parts = [net.input, net.stem, *net.layers, net.head]
        for ours, theirs in zip(self.path(arch), parts, strict=True):
            assert theirs is not None
            theirs.load_state_dict(ours.state_dict(), strict=False)
            for conv, whole in zip(_convs(theirs), _convs(ours), strict=True):
                conv.weight.data.copy_(whole.weight)
        return net


def _convs(module: nn.Module) -> list[nn.Conv2d]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


def _layer(edge: Edge) -> str:
    _, stage, layer = edge.slot
    return f"{stage}_{layer}"


def _name(edge: Edge) -> str:
    """The same at every size of the images."""
    part = edge.parts[0]
    assert isinstance(part.part, LayerSpec)
    return f"{_layer(edge)}_i{part.in_channels}_c{part.part.out_channels}_{edge.option}"


def _has_ghosts_to_choose_from(space: NetworkSpace) -> bool:
    places = [place for stage in space.stages for place in stage.places]
    widths = max(len(stage.widths) for stage in space.stages)
    return any(place.block.kind == "ghost" and (len(place.ops) > 1 or widths > 1) for place in places)
