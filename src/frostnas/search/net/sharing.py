"""Weights that the candidates of one layer have in common.

Every convolution of a layer has one weight of the greatest size, and a candidate uses a part of it: the first output
and input channels, the middle of the kernel. Candidates so agree from the first step on what a channel means, and
each step trains all of them. Batch norm and ranges stay their own (Cai et al. 2020, 3; Chen et al. 2021, 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Part = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class User:
    """A candidate's convolution.

    Its input is ``new`` channels that the squeeze adds, then those that come from before.
    """

    conv: nn.Conv2d
    new: int

    @property
    def old(self) -> int:
        """Input channels (per group) that are not new."""
        return int(self.conv.weight.shape[1]) - self.new


class SharedWeights(nn.Module):
    """The common weights of one layer's candidates; `bind` lends a candidate its parts of them."""

    def __init__(self, candidates: Sequence[tuple[int, nn.Module]]) -> None:
        """Args: candidates: input channels and block."""
        super().__init__()
        self.whole = nn.ModuleDict()
        self._loans: dict[int, list[tuple[nn.Conv2d, str, Part]]] = {id(block): [] for _, block in candidates}
        users: dict[str, list[tuple[int, User]]] = {}
        for channels, block in candidates:
            for name, module in block.named_modules():
                if isinstance(module, nn.Conv2d):
                    new = module.in_channels - channels if name.startswith("expand") else 0
                    users.setdefault(_role(name), []).append((id(block), User(module, new)))
        for role, found in users.items():
            self.whole[role] = _whole([user for _, user in found])
            most_new = max(user.new for _, user in found)
            for owner, user in found:
                self._loans[owner].append((user.conv, role, _part(user, most_new)))
        for found in users.values():
            for _, user in found:
                del user.conv.weight
                user.conv.weight = torch.empty(0)  # lent anew in every forward pass

    def of(self, name: str) -> nn.Conv2d:
        """The convolution that the candidates' ones of that name in their blocks are parts of."""
        whole = self.whole[_role(name)]
        assert isinstance(whole, nn.Conv2d)
        return whole

    def bind(self, block: nn.Module) -> None:
        """Give the convolutions of ``block`` their parts; gradients flow back into the whole."""
        for conv, role, part in self._loans[id(block)]:
            whole = self.whole[role]
            assert isinstance(whole, nn.Conv2d)
            conv.weight = part(whole.weight)


def _role(name: str) -> str:
    return name.replace(".", "_")


def _whole(users: Sequence[User]) -> nn.Conv2d:
    """A convolution of which each of ``users`` is a part; only its weight is used."""
    channels = max(user.new for user in users) + max(user.old for user in users)
    out_channels = max(user.conv.out_channels for user in users)
    kernel = max(user.conv.kernel_size[0] for user in users)
    depthwise = all(user.conv.groups > 1 for user in users)
    groups = out_channels if depthwise else 1
    conv = nn.Conv2d(channels * groups, out_channels, kernel, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _part(user: User, most_new: int) -> Part:
    """(C_out, C_new + C_old, K, K) -> the user's (c_out, c_new + c_old, k, k)."""
    out_channels, new, old = user.conv.out_channels, user.new, slice(most_new, most_new + user.old)

    def part(weight: Tensor) -> Tensor:
        margin = (weight.shape[-1] - user.conv.kernel_size[0]) // 2
        if margin:
            weight = weight[:, :, margin:-margin, margin:-margin]
        if new == most_new:
            return weight[:out_channels, : old.stop]
        return torch.cat([weight[:out_channels, :new], weight[:out_channels, old]], dim=1)

    return part
