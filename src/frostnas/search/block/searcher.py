"""The live state of one search, and its steps: architecture on one half of the data, weights on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.config import Paths, SearchBlockConfig
from frostnas.data.images import Batch, derived_seed
from frostnas.engine import Part, Qat, Recipe, rng_state, set_rng_state
from frostnas.engine.qat import in_parts
from frostnas.search.block.costs import SlotCosts
from frostnas.search.block.gradients import Gradients, first_order, gradients, score_function, second_order
from frostnas.search.block.plan import SearchPhase
from frostnas.search.block.supernet.mixture import Architecture, Mixture, one_path
from frostnas.search.block.supernet.net import MixedSupernet

PATHS_PER_STEP = 4  # whose losses one sampled architecture step compares


class Searcher(Qat):
    """The loop over the supernet of one phase, with architecture weights and their optimizer."""

    model: MixedSupernet

    def __init__(
        self,
        recipe: Recipe,
        search: SearchBlockConfig,
        phase: SearchPhase,
        costs: SlotCosts,
        device: torch.device,
        steps_per_epoch: int,
    ) -> None:
        """Args: recipe: its seed is that of the search, its epochs are those of the phase."""
        self.search, self.space, self.costs = search, phase.space, costs
        torch.manual_seed(derived_seed(recipe.seed, phase.number))
        supernet = MixedSupernet(phase.space, phase.proxy, recipe.scheme).to(device)
        super().__init__(supernet.to(memory_format=torch.channels_last), recipe, steps_per_epoch)
        self.arch = Architecture(phase.space, device)
        self.arch_optimizer = torch.optim.Adam(
            self.arch.parameters(), lr=search.arch_lr, betas=(0.5, 0.999), weight_decay=search.arch_weight_decay
        )
        self.generator = torch.Generator().manual_seed(derived_seed(recipe.seed, phase.number, 1))  # draws paths
        self.arch_loss_sum = 0.0
        """Of the present epoch's architecture steps."""

    @property
    def searching(self) -> bool:
        """Whether the warm-up is over: fake-quant is on and the architecture moves."""
        return self.state.quantizes

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the epoch: in architecture steps; in weight steps during warm-up."""
        return self.arch_loss_sum / max(1, self.progress.step) if self.searching else self.progress.loss

    def begin_epoch(self) -> None:
        super().begin_epoch()
        if not self.progress.step:
            self.arch_loss_sum = 0.0

    def step(self, weights_batch: Batch, arch_batch: Batch) -> None:
        """One update of the architecture (while searching) on one batch, and one of the weights on the other.

        Raises:
            TrainingError: a loss or an activation is NaN or infinite.
        """
        if self.searching:
            with self.watched():
                self.arch_loss_sum += self._architecture_step(weights_batch, arch_batch)
        mixture, parts = self._training_mixture(), in_parts(self.recipe.micro_batches, *weights_batch)
        self.update(*(Part.of(partial(self.model, pixels, mixture), labels) for pixels, labels in parts))

    def _training_mixture(self) -> Mixture:
        if self.search.paths is Paths.sampled:
            return one_path(self.space, self.arch.sample(self.generator), self.device)
        return Mixture({slot: weights.detach() for slot, weights in self.arch.probabilities().items()})

    def _architecture_step(self, weights_batch: Batch, arch_batch: Batch) -> float:
        parameters = tuple(self.arch.parameters())
        if self.search.paths is Paths.sampled:
            task, value = self._sampled(arch_batch, parameters)
        else:
            task, value = self._mixed(weights_batch, arch_batch, parameters)
        self.check(value, lambda: self.model(arch_batch[0], self._training_mixture()))
        cost = gradients(self.latency_term(), parameters)
        for parameter, gradient, extra in zip(parameters, task, cost, strict=True):
            parameter.grad = gradient + extra
        self.arch_optimizer.step()
        self.arch_optimizer.zero_grad(set_to_none=True)
        return value

    def _mixed(self, train: Batch, held_out: Batch, parameters: Sequence[Tensor]) -> tuple[Gradients, float]:
        def loss_on(batch: Batch) -> Tensor:
            return F.cross_entropy(self.model(batch[0], self.arch.mixed()), batch[1])

        weights = tuple(self.model.parameters())
        if self.search.order == 1:
            found, loss = self._first_order(loss_on, held_out, parameters, weights)
        else:
            lr = self.set_lr()
            found, loss = second_order(lambda: loss_on(train), lambda: loss_on(held_out), parameters, weights, lr)
        return found, float(loss)

    def _first_order(
        self, loss_on: Callable[[Batch], Tensor], batch: Batch, parameters: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> tuple[Gradients, Tensor]:
        """Summed over the parts of the batch, of which one graph at a time is there."""
        found = [torch.zeros_like(parameter) for parameter in parameters]
        loss, images = torch.zeros((), device=self.device), len(batch[1])
        for pixels, labels in in_parts(self.recipe.micro_batches, *batch):
            share = len(labels) / images
            part, value = first_order(partial(loss_on, (pixels, labels)), parameters, weights)
            found = [total + share * one for total, one in zip(found, part, strict=True)]
            loss = loss + share * value
        return tuple(found), loss

    def _sampled(self, batch: Batch, parameters: Sequence[Tensor]) -> tuple[Gradients, float]:
        codes = [self.arch.sample(self.generator) for _ in range(PATHS_PER_STEP)]
        with torch.no_grad():
            losses = [
                float(F.cross_entropy(self.model(batch[0], one_path(self.space, code, self.device)), batch[1]))
                for code in codes
            ]
        logs = [self.arch.log_probability(code) for code in codes]
        return score_function(logs, losses, parameters), sum(losses) / len(losses)

    def latency_term(self) -> Tensor:
        """Expected latency over the mean of the space, times its weight; float32 () with its gradient."""
        expected = self.costs.expected_ms(self.arch.probabilities())
        return expected / self.costs.mean_ms() * self.search.latency_weight

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "arch": self.arch.state_dict(),
            "arch_optimizer": self.arch_optimizer.state_dict(),
            "arch_loss_sum": self.arch_loss_sum,
            "generator": self.generator.get_state(),
            "rng": rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, the global random generators included."""
        super().load_state_dict(state)
        self.arch.load_state_dict(state["arch"])
        self.arch_optimizer.load_state_dict(state["arch_optimizer"])
        self.arch_loss_sum = state["arch_loss_sum"]
        self.generator.set_state(state["generator"])
        set_rng_state(state["rng"])
