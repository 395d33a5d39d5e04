"""GradBoost: noise that pushes every gradient element outward while the network is fake-quantized.

FrostNet, section 3.3. With g an element of a gradient, t the steps of its weight since tracking began and n the
quantized steps: ``noise = sign(g) * |Laplace(0, 1)| * (emax - emin) * (1 - noise_decay)^n``, for a random half of the
elements, clamped to ``clip_by`` and added to g before the optimizer's momentum and second moments.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from frostnas.config import GradBoostConfig, GradBoostMode
from frostnas.quant.noise_table import NoiseTable

CACHED_ELEMENTS = 2**18  # of half a dozen float32 arrays: a few MiB


class GradBoost:
    """A gradient transform for any `torch.optim` optimizer; `attach` registers it before the step.

    The noise depends on the seed and on n alone, which are alike on every rank: equal gradients stay equal.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], config: GradBoostConfig, seed: int) -> None:
        self.config = config
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        like = self.parameters[0].detach() if self.parameters else torch.empty(0)
        self.device = like.device
        self.starts = [0, *accumulate(parameter.numel() for parameter in self.parameters)]
        self.table = NoiseTable(seed, config.toss_coin, self.device)
        self.largest = like.new_zeros(self.starts[-1])  # emax, one parameter behind the other
        self.smallest = like.new_zeros(self.starts[-1])  # emin
        self.seen = [0] * len(self.parameters)  # t, per parameter: a supernet's step reaches only some
        self.boosted = 0  # n
        self.boosting = False

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Transform the gradients that every further step of ``optimizer`` uses."""
        optimizer.register_step_pre_hook(self._before_step)

    def track(self) -> None:
        """Follow the gradients without changing them: the StatAssist phase."""
        self.boosting = False

    def boost(self) -> None:
        """Add noise to the gradients: the QAT phase."""
        self.boosting = True

    @torch.no_grad()
    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        live = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        if not live:
            return
        for index in live:
            self.seen[index] += 1
        if self.boosting:
            self.boosted += 1
        places = self.table.places(self.boosted)
        track = self._track_corrected if self.config.mode is GradBoostMode.corrected else self._track_released
        for batch in self._batches(live, self._with_l2_of_adam(optimizer, live)):
            place = slice(batch.start, batch.start + batch.elements)
            felt = batch.flat()
            spread = track(felt.abs(), self.largest[place], self.smallest[place], batch.seen)
            if self.boosting:
                batch.add(self._noise(felt, spread, self.table.draw(batch.elements, places)))

    def _batches(self, live: list[int], felt: list[Tensor]) -> Iterator[_Batch]:
        """The live parameters, cut and joined to as many elements as stay in a CPU's cache between operations.

        Those of a batch are neighbours that have been seen equally often. An accelerator takes all at once.
        """
        most = CACHED_ELEMENTS if self.device.type == "cpu" else sys.maxsize
        batch = _Batch(0, 0)
        for index, source in zip(live, felt, strict=True):
            own, seen, start = self.parameters[index].grad, self.seen[index], self.starts[index]
            assert own is not None
            rows = max(1, most * len(own) // own.numel()) if own.numel() > most else 0
            pieces = zip(torch.split(own, rows), torch.split(source, rows), strict=True) if rows else [(own, source)]
            for gradient, piece in pieces:
                end = batch.start + batch.elements
                if (seen, start) != (batch.seen, end) or batch.elements + piece.numel() > most:
                    if batch.elements:
                        yield batch
                    batch = _Batch(start, seen)
                batch.elements += piece.numel()
                batch.gradients.append(gradient)
                batch.felt.append(piece)
                start += piece.numel()
        yield batch

    def _with_l2_of_adam(self, optimizer: torch.optim.Optimizer, live: list[int]) -> list[Tensor]:
        """The gradients that the noise is made from.

        SGD and RMSprop add their L2 decay after the noise, which their own step does. Adam adds it before: its noise
        is that of the decayed gradient, while the step goes on adding the decay. AdamW's decay is no gradient.
        """
        adam = isinstance(optimizer, torch.optim.Adam) and not isinstance(optimizer, torch.optim.AdamW)
        rates = {
            id(parameter): group["weight_decay"]
            for group in optimizer.param_groups
            if adam and not group["decoupled_weight_decay"]
            for parameter in group["params"]
        }
        felt = []
        for index in live:
            parameter = self.parameters[index]
            assert parameter.grad is not None
            rate = rates.get(id(parameter), 0.0)
            felt.append(parameter.grad.add(parameter, alpha=rate) if rate else parameter.grad)
        return felt

    def _track_corrected(self, size: Tensor, largest: Tensor, smallest: Tensor, seen: int) -> Tensor:
        """emax - emin, with averages whose start is corrected when they are read.

        Averaging into a plain accumulator and dividing what is read by 1 - decay^t is one interpolation of the
        corrected values, with weight (1 - decay) / (1 - decay^t); at t = 1 it takes |g| itself.
        """
        decay = self.config.averaging
        if seen == 1:
            smallest.copy_(size)
        weight = (1 - decay) / (1 - decay**seen) if decay < 1 else 1.0
        largest.lerp_(torch.maximum(largest, size), weight)
        smallest.lerp_(torch.minimum(smallest, size), weight)
        return largest - smallest

    def _track_released(self, size: Tensor, largest: Tensor, smallest: Tensor, seen: int) -> Tensor:
        """emax as the published optimizers keep it: divided in place at every step; their emin is always 0."""
        decay = self.config.averaging
        largest.lerp_(torch.maximum(largest, size), 1 - decay).div_(1 - decay**seen)
        return largest

    def _noise(self, felt: Tensor, spread: Tensor, draws: Tensor) -> Tensor:
        noise = (draws * spread).mul_((1 - self.config.noise_decay) ** self.boosted)
        return noise.clamp_max_(self.config.clip_by).mul_(felt.sign())

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "largest": self.largest,
            "smallest": self.smallest,
            "seen": list(self.seen),
            "boosted": self.boosted,
            "boosting": self.boosting,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken; the parameters must be the same, in the same order."""
        self.largest.copy_(state["largest"])
        self.smallest.copy_(state["smallest"])
        self.seen, self.boosted, self.boosting = list(state["seen"]), state["boosted"], state["boosting"]


@dataclass(slots=True)
class _Batch:
    """Pieces of neighbouring parameters that one chain of operations treats as a flat tensor."""

    start: int
    """Place of its first element among those of all parameters."""
    seen: int
    elements: int = 0
    gradients: list[Tensor] = field(default_factory=list)
    felt: list[Tensor] = field(default_factory=list)

    def flat(self) -> Tensor:
        """The felt gradients, (elements,)."""
        parts = [piece.flatten() for piece in self.felt]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def add(self, noise: Tensor) -> None:
        """Add (elements,) to the gradients."""
        parts = torch.split(noise, [piece.numel() for piece in self.gradients])
        shaped = [part.view_as(piece) for part, piece in zip(parts, self.gradients, strict=True)]
        torch._foreach_add_(self.gradients, shaped)
