"""GradBoost: noise that pushes every gradient element outward while the network is fake-quantized.

FrostNet, section 3.3. With g an element of a gradient, t the steps of its weight since tracking began and n the
quantized steps: ``noise = sign(g) * |Laplace(0, 1)| * (emax - emin) * (1 - noise_decay)^n``, for a random half of the
elements, clamped to ``clip_by`` and added to g before the optimizer's momentum and second moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from frostnas.config import GradBoostConfig, GradBoostMode

CACHED_ELEMENTS = 2**18  # of half a dozen float32 arrays: a few MiB


class GradBoost:
    """A gradient transform for any `torch.optim` optimizer; `attach` registers it before the step.

    The noise comes from a generator of its own, seeded alike on every rank: equal gradients stay equal.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], config: GradBoostConfig, seed: int) -> None:
        self.config = config
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.largest = [torch.zeros_like(parameter) for parameter in self.parameters]  # emax
        self.smallest = [torch.zeros_like(parameter) for parameter in self.parameters]  # emin
        self.seen = [0] * len(self.parameters)  # t, per parameter: a supernet's step reaches only some
        self.boosted = 0  # n
        self.boosting = False
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        self.generator = torch.Generator(device).manual_seed(seed)

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
        felt = self._with_l2_of_adam(optimizer, live)
        levels = None
        if self.boosting:
            self.boosted += 1
            levels = draw_levels(sum(gradient.numel() for gradient in felt), self.generator)
        track = self._track_corrected if self.config.mode is GradBoostMode.corrected else self._track_released
        done = 0
        for batch in self._batches(live, felt):
            spread = track(batch)
            if levels is not None:
                self._add_noise(batch, spread, levels[done : done + batch.elements])
                done += batch.elements

    def _batches(self, live: list[int], felt: list[Tensor]) -> Iterator[_Batch]:
        """The live parameters in pieces, together as many as stay in a CPU's cache from one operation to the next.

        Pieces of a batch have been seen equally often. An accelerator takes all of them at once.
        """
        batch = _Batch()
        most = CACHED_ELEMENTS if self.generator.device.type == "cpu" else math.inf
        for index, gradient in zip(live, felt, strict=True):
            own = self.parameters[index].grad
            assert own is not None
            tensors = (own, gradient, self.largest[index], self.smallest[index])
            rows = gradient.numel() if most == math.inf else max(1, CACHED_ELEMENTS // max(1, gradient[:1].numel()))
            whole = gradient.dim() == 0 or rows >= len(gradient)
            for piece in [tensors] if whole else zip(*(torch.split(one, rows) for one in tensors), strict=True):
                if batch.elements and (batch.seen != self.seen[index] or batch.elements + piece[0].numel() > most):
                    yield batch
                    batch = _Batch()
                batch.add(self.seen[index], *piece)
        yield batch

    def _with_l2_of_adam(self, optimizer: torch.optim.Optimizer, live: list[int]) -> list[Tensor]:
        """The gradients that the noise is made from.

        SGD and RMSprop add their L2 decay after the noise, which their own step does. Adam adds it before: its noise
        is that of the decayed gradient, while the step goes on adding the decay. AdamW's decay is no gradient.
        """
        adam = isinstance(optimizer, torch.optim.Adam) and not isinstance(optimizer, torch.optim.AdamW)
        rates = {
            id(parameter): group["weight_decay"] if adam and not group.get("decoupled_weight_decay") else 0.0
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        felt = []
        for index in live:
            parameter = self.parameters[index]
            assert parameter.grad is not None
            rate = rates.get(id(parameter), 0.0)
            felt.append(parameter.grad.add(parameter, alpha=rate) if rate else parameter.grad)
        return felt

    def _track_corrected(self, batch: _Batch) -> tuple[Tensor, ...]:
        """emax - emin, with averages whose start is corrected when they are read.

        Averaging into a plain accumulator and dividing what is read by 1 - decay^t is one interpolation of the
        corrected values, with weight (1 - decay) / (1 - decay^t); at t = 1 it takes |g| itself.
        """
        decay = self.config.averaging
        size = torch._foreach_abs(batch.felt)
        if batch.seen == 1:
            torch._foreach_copy_(batch.smallest, size)
        weight = (1 - decay) / (1 - decay**batch.seen) if decay < 1 else 1.0
        torch._foreach_lerp_(batch.largest, torch._foreach_maximum(batch.largest, size), weight)
        torch._foreach_lerp_(batch.smallest, torch._foreach_minimum(batch.smallest, size), weight)
        return torch._foreach_sub(batch.largest, batch.smallest)

    def _track_released(self, batch: _Batch) -> tuple[Tensor, ...]:
        """emax as the published optimizers keep it: divided in place at every step; their emin is always 0."""
        decay = self.config.averaging
        newest = torch._foreach_maximum(batch.largest, torch._foreach_abs(batch.felt))
        torch._foreach_mul_(batch.largest, decay)
        torch._foreach_add_(batch.largest, newest, alpha=1 - decay)
        torch._foreach_div_(batch.largest, 1 - decay**batch.seen)
        return tuple(batch.largest)

    def _add_noise(self, batch: _Batch, spread: tuple[Tensor, ...], levels: Tensor) -> None:
        """|Laplace| is exponential, and Exp - ln 2 is positive for half the draws and exponential again there.

        One draw therefore serves the coin too.
        """
        shift = math.log(2) if self.config.toss_coin else 0.0
        draws = to_exponential(levels, shift, (1 - self.config.noise_decay) ** self.boosted)
        pieces = torch.split(draws, [tensor.numel() for tensor in spread])
        shaped = [piece.view(tensor.shape) for piece, tensor in zip(pieces, spread, strict=True)]
        noise = torch._foreach_mul(spread, shaped)
        torch._foreach_clamp_max_(noise, self.config.clip_by)
        torch._foreach_addcmul_(batch.gradients, noise, torch._foreach_sign(batch.felt))

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "largest": self.largest,
            "smallest": self.smallest,
            "seen": list(self.seen),
            "boosted": self.boosted,
            "boosting": self.boosting,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken; the parameters must be the same, in the same order."""
        for mine, stored in zip((self.largest, self.smallest), (state["largest"], state["smallest"]), strict=True):
            torch._foreach_copy_(mine, stored)
        self.seen, self.boosted, self.boosting = list(state["seen"]), state["boosted"], state["boosting"]
        self.generator.set_state(state["generator"].cpu())


class _Batch:
    """Pieces of parameters that one chain of foreach operations treats together."""

    def __init__(self) -> None:
        self.seen = self.elements = 0
        self.gradients: list[Tensor] = []
        self.felt: list[Tensor] = []
        self.largest: list[Tensor] = []
        self.smallest: list[Tensor] = []

    def add(self, seen: int, gradient: Tensor, felt: Tensor, largest: Tensor, smallest: Tensor) -> None:
        self.seen = seen
        self.elements += felt.numel()
        self.gradients.append(gradient)
        self.felt.append(felt)
        self.largest.append(largest)
        self.smallest.append(smallest)


def draw_levels(count: int, generator: torch.Generator) -> Tensor:
    """Uniform int16 (count,). Four share one 64-bit draw: ten times faster than `Tensor.exponential_` on a CPU."""
    words = torch.empty(-(-count // 4), dtype=torch.int64, device=generator.device)
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.int16)[:count]


def to_exponential(levels: Tensor, shift: float = 0.0, factor: float = 1.0) -> Tensor:
    """``max(0, Exp(1) - shift) * factor``, float32, from uniform int16 through the inverse of the distribution.

    The clamped noise would not show the 24 bits of a float32 draw.
    """
    top = math.log(2**16) - shift
    return levels.float().add_(2**15 + 0.5).log_().clamp_(max=top).sub_(top).mul_(-factor)
