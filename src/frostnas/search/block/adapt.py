"""A block cut out of a mixed supernet, given an epoch to get used to being alone."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from torch.nn import functional as F

from frostnas.config import OptimConfig
from frostnas.data.images import Batch
from frostnas.engine import Schedule, make_optimizer
from frostnas.search.block.mixture import Mixture
from frostnas.search.block.supernet import Supernet


def adapted(supernet: Supernet, path: Mixture, optim: OptimConfig, batches: Iterable[Batch], steps: int) -> Supernet:
    """A copy of the supernet whose ``path`` alone was trained for one schedule of ``steps``.

    Weights that were trained for the mixture score a single path at random; after an epoch of its own the score tells
    blocks apart.
    """
    copy = deepcopy(supernet)
    optimizer, schedule = make_optimizer(copy, optim), Schedule(optim, steps, steps)
    for step, (pixels, labels) in enumerate(batches):
        schedule.apply(optimizer, step)
        F.cross_entropy(copy(pixels, path), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return copy
