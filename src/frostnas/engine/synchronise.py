"""Batch norm and activation ranges of a batch that several processes share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from frostnas.quant import ActivationQuantizer


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, since every process uses the sum."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone()
        dist.all_reduce(summed)
        return summed


def _gathered(own: Tensor) -> Tensor:
    """What every process has, stacked in the order of their ranks; gradients go back to each."""
    others = own.new_zeros(dist.get_world_size(), *own.shape)
    rank = dist.get_rank()
    return _Sum.apply(torch.cat([others[:rank], own[None], others[rank + 1 :]]))  # type: ignore[no-any-return]


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the parts of a batch that equal processes hold, on any device.

    `torch.nn.SyncBatchNorm` does the same on CUDA only.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        own = torch.stack([x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)])  # (2, C)
        means, variances = _gathered(own).unbind(1)  # (processes, C)
        # Not the mean square minus the squared mean: it has no digits left where the mean is large.
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        with torch.no_grad():
            count = x.numel() // x.shape[1] * dist.get_world_size()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(1, count - 1)), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        factor = self.weight * torch.rsqrt(variance + self.eps)
        offset = self.bias - mean * factor
        shared: Tensor = x * factor.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1)
        return shared


def _shared_extremes(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    extremes = torch.stack([-low, high])
    dist.all_reduce(extremes, dist.ReduceOp.MAX)
    return -extremes[0], extremes[1]


def synchronise(model: nn.Module) -> None:
    """Make batch-norm statistics and activation ranges those of the whole batch; parameters stay the same objects."""
    for module in list(model.modules()):
        if isinstance(module, ActivationQuantizer):
            module.across = _shared_extremes
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _shared(child))


def _shared(bn: nn.BatchNorm2d) -> nn.Module:
    shared = nn.SyncBatchNorm if bn.weight.is_cuda else SharedBatchNorm
    new = shared(bn.num_features, bn.eps, bn.momentum)
    for name, parameter in bn.named_parameters():
        setattr(new, name, parameter)
    for name, buffer in bn.named_buffers():
        setattr(new, name, buffer)
    return new.train(bn.training)
