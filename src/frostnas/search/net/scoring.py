"""What a path of the supernet is worth: fake-quant accuracy after its statistics are estimated anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.data import Images, Splits
from frostnas.engine.distributed import World, total
from frostnas.quant import Dropout, QuantState, plain_averages, set_state
from frostnas.search.net.supernet import Supernet
from frostnas.search.spaces.arch import Arch, arch_name


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """Of one network on the validation images; the greater is the better, and that is the one of lower loss.

    Few networks of a supernet differ in accuracy by more than its error on some hundred images; the loss is finer.
    """

    top1: float = field(compare=False)
    """As a fraction."""
    negative_loss: float
    """Minus the mean cross-entropy."""


class Scorer:
    """Scores each network once. The scores alone determine what a strategy does next, so they are its whole state."""

    def __init__(self, supernet: Supernet, data: Splits, batch_size: int, batches: int, seed: int) -> None:
        self.supernet, self.val = supernet, data.val
        self.scores: dict[str, Score] = {}
        self._calibration = list(islice(_forever(data.train, batch_size, seed), batches))

    def __call__(self, arch: Arch) -> Score:
        name = arch_name(arch)
        if name not in self.scores:
            self.scores[name] = self._score(arch)
        return self.scores[name]

    def _score(self, arch: Arch) -> Score:
        path = self.supernet.path(arch)
        set_state(path, QuantState.FAKE)
        with torch.no_grad(), _fresh_statistics(path) as averaging:
            path.train()
            for module in path.modules():
                if isinstance(module, Dropout):
                    module.eval()
            for number, (pixels, _) in enumerate(self._calibration, start=1):
                averaging(1 / number)
                self.supernet(pixels, arch)
            path.eval()
            return self._validate(arch)

    def _validate(self, arch: Arch) -> Score:
        hits = loss = 0.0
        for pixels, labels in self.val.batches(256):
            logits = self.supernet(pixels, arch)
            hits += float((logits.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        return Score(hits / len(self.val), -loss / len(self.val))


def share(scorer: Scorer, archs: Sequence[Arch], world: World, device: torch.device) -> None:
    """Make the scores of as many networks as there are processes known to all; each process scores one."""
    table = torch.zeros(len(archs), 2, dtype=torch.float64, device=device)
    if world.rank < len(archs):
        score = scorer(archs[world.rank])
        table[world.rank] = torch.tensor([score.top1, score.negative_loss], dtype=torch.float64)
    for arch, values in zip(archs, total(table).tolist(), strict=True):
        scorer.scores[arch_name(arch)] = Score(*values)


def _forever(images: Images, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from images.batches(batch_size, seed=seed)


@contextmanager
def _fresh_statistics(path: nn.ModuleList) -> Iterator[Callable[[float], None]]:
    """Forget the path's batch-norm statistics and ranges inside the block; put them back after it.

    Gives the function that sets the weight of the newest batch, with which 1, 1/2, 1/3, … makes plain averages.
    """
    kept = {name: buffer.clone() for name, buffer in path.named_buffers()}
    norms = [module for module in path.modules() if isinstance(module, nn.BatchNorm2d)]
    momentum = [norm.momentum for norm in norms]
    with plain_averages(path) as weigh:

        def averaging(weight: float) -> None:
            weigh(weight)
            for norm in norms:
                norm.momentum = weight

        try:
            yield averaging
        finally:
            for norm, value in zip(norms, momentum, strict=True):
                norm.momentum = value
            for name, buffer in path.named_buffers():
                buffer.copy_(kept[name])
