"""A trained network's weights, batch norm and ranges in a supernet whose largest network it is.

Every candidate gets its part: the first channels, the middle of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from frostnas.nets import Net
from frostnas.nets.blocks import InvertedResidual
from frostnas.search.net.sharing import SharedWeights
from frostnas.search.net.supernet import Supernet


@torch.no_grad()
def inherit(supernet: Supernet, parent: Net) -> None:
    """Overwrite all of ``supernet`` with its parts of ``parent``, of which its space was made."""
    assert parent.head is not None
    own = [supernet.input, supernet.stem, supernet.first, *supernet.heads.values()]
    theirs = [parent.input, parent.stem, parent.layers[0], *[parent.head] * len(supernet.heads)]
    for ours, given in zip(own, theirs, strict=True):
        _take(ours, given)
    layers = iter(parent.layers[1:])
    for stage, one in enumerate(supernet.space.stages):
        for place in range(len(one.places)):
            layer = next(layers)
            for candidate in supernet.candidates_of(stage, place):
                _take(candidate, layer)
            if (shared := supernet.shared_of(stage, place)) is not None:
                _share(shared, layer)


def _take(block: nn.Module, layer: nn.Module) -> None:
    """All that is the block's own."""
    theirs, squeezed = layer.state_dict(), (_squeezed(layer), _squeezed(block))
    block.load_state_dict(
        {
            name: part(theirs[name], value.shape, squeezed if name.startswith("expand") else (0, 0))
            for name, value in block.state_dict().items()
        }
    )


def _squeezed(block: nn.Module) -> int:
    """Channels that a squeeze puts before those that enter the block."""
    if not isinstance(block, InvertedResidual) or block.squeeze is None:
        return 0
    return next(conv.out_channels for conv in block.squeeze.modules() if isinstance(conv, nn.Conv2d))


def _share(shared: SharedWeights, layer: nn.Module) -> None:
    """The weights that the candidates have in common, which are the layer's: the largest candidate is the parent's."""
    for name, module in layer.named_modules():
        if isinstance(module, nn.Conv2d):
            shared.of(name).weight.copy_(module.weight)


def part(whole: Tensor, shape: Sequence[int], squeezed: tuple[int, int] = (0, 0)) -> Tensor:
    """The first channels, (C_out, C_in) or (C,), and the middle of a kernel, (.., .., K, K).

    Args:
        squeezed: inputs before the others, of the whole and of the part; each kind has its own first ones.
    """
    if whole.dim() > 1 and squeezed[0] != squeezed[1]:
        theirs, ours = squeezed
        whole = torch.cat([whole[:, :ours], whole[:, theirs:]], dim=1)
    for dim, size in enumerate(shape):
        start = (whole.shape[dim] - size) // 2 if dim >= 2 else 0
        whole = whole.narrow(dim, start, size)
    return whole
