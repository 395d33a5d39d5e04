"""GradBoost: noise that pushes every gradient element outward while the network is fake-quantized.

FrostNet, section 3.3. With g an element of a gradient, t the steps of its weight since tracking began and n the
quantized steps: ``noise = sign(g) * |Laplace(0, 1)| * (emax - emin) * (1 - noise_decay)^n``, for a random half of the
elements, clamped to ``clip_by`` and added to g before the optimizer's momentum and second moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from frostnas.config import GradBoostConfig, GradBoostMode


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
        gradients = [gradient for parameter in self.parameters if (gradient := parameter.grad) is not None]
        felt = self._with_l2_of_adam(optimizer, live)
        for index in live:
            self.seen[index] += 1
        track = self._track_corrected if self.config.mode is GradBoostMode.corrected else self._track_released
        spread = track(live, torch._foreach_abs(felt))
        if self.boosting:
            self.boosted += 1
            torch._foreach_add_(gradients, list(self._noise(spread, felt)))

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

    def _track_corrected(self, live: list[int], size: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """emax - emin, with averages whose start is corrected when they are read.

        Averaging into a plain accumulator and dividing what is read by 1 - decay^t is one interpolation of the
        corrected values, with weight (1 - decay) / (1 - decay^t); at t = 1 it takes |g| itself.
        """
        decay = self.config.averaging
        largest, smallest = [self.largest[index] for index in live], [self.smallest[index] for index in live]
        for index, magnitude, low in zip(live, size, smallest, strict=True):
            if self.seen[index] == 1:
                low.copy_(magnitude)
        weights = [(1 - decay) / (1 - decay ** self.seen[index]) if decay < 1 else 1.0 for index in live]
        for high, low, magnitude, weight in zip(largest, smallest, size, weights, strict=True):
            high.lerp_(torch.maximum(high, magnitude), weight)
            low.lerp_(torch.minimum(low, magnitude), weight)
        return torch._foreach_sub(largest, smallest)

    def _track_released(self, live: list[int], size: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """emax as the published optimizers keep it: divided in place at every step; their emin is always 0."""
        decay = self.config.averaging
        largest = [self.largest[index] for index in live]
        newest = torch._foreach_maximum(largest, size)
        torch._foreach_mul_(largest, decay)
        torch._foreach_add_(largest, newest, alpha=1 - decay)
        torch._foreach_div_(largest, [1 - decay ** self.seen[index] for index in live])
        return tuple(largest)

    def _noise(self, spread: tuple[Tensor, ...], felt: list[Tensor]) -> tuple[Tensor, ...]:
        """|Laplace| is exponential, and Exp - ln 2 is positive for half the draws and exponential again there.

        One draw therefore serves the coin too.
        """
        numbers = [tensor.numel() for tensor in felt]
        draws = exponential(sum(numbers), self.generator)
        if self.config.toss_coin:
            draws.sub_(math.log(2)).clamp_(min=0)
        draws.mul_((1 - self.config.noise_decay) ** self.boosted)
        pieces = [piece.view(tensor.shape) for piece, tensor in zip(torch.split(draws, numbers), felt, strict=True)]
        noise = torch._foreach_mul(spread, pieces)
        torch._foreach_clamp_max_(noise, self.config.clip_by)
        torch._foreach_mul_(noise, torch._foreach_sign(felt))
        return noise

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


def exponential(count: int, generator: torch.Generator) -> Tensor:
    """Exp(1) draws, float32 (count,), from 16-bit uniforms through the inverse of the distribution.

    Four of them share one 64-bit draw: ten times faster than `Tensor.exponential_` on a CPU, whose 24 bits the
    clamped noise would not show.
    """
    words = torch.empty(-(-count // 4), dtype=torch.int64, device=generator.device)
    words.random_(-(2**63), None, generator=generator)
    levels = words.view(torch.int16)[:count].float()  # -32768 to 32767
    return levels.add_(32768.5).log_().neg_().add_(math.log(65536))
