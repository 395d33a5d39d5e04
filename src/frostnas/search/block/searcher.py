"""The live state of one search, and its steps: architecture on one half of the data, weights on the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.config import Config, Paths
from frostnas.data.images import Batch, derived_seed
from frostnas.engine import Schedule, batch_top1, make_optimizer, rng_state, set_rng_state
from frostnas.quant import GradBoost, QuantState, Scheme, set_state
from frostnas.search.block.costs import SlotCosts
from frostnas.search.block.gradients import Gradients, first_order, gradients, score_function, second_order
from frostnas.search.block.plan import SearchPhase
from frostnas.search.block.supernet.mixture import Architecture, Mixture, one_path
from frostnas.search.block.supernet.net import MixedSupernet

PATHS_PER_STEP = 4  # whose losses one sampled architecture step compares


class SearchError(FloatingPointError):
    """The search met a loss that is not a number; the message says where and what to change."""


@dataclass
class Progress:
    """Where a phase of the search is, and the sums over its present epoch."""

    epoch: int = 0
    """From 0 over warm-up and search."""
    step: int = 0
    """Batches of the epoch that are done."""
    loss_sum: float = 0.0
    """Of the cross-entropy in architecture steps; in weight steps during warm-up."""
    top1_sum: float = 0.0
    """Of what the weight steps trained, on their own batches."""


class Searcher:
    """Supernet, architecture weights, both optimizers, GradBoost and position: all that a checkpoint holds."""

    def __init__(
        self,
        config: Config,
        phase: SearchPhase,
        costs: SlotCosts,
        device: torch.device,
        steps_per_epoch: int,
        seed: int,
    ) -> None:
        self.config, self.phase, self.costs = config, phase, costs
        self.device, self.steps_per_epoch = device, steps_per_epoch
        scheme = Scheme.of(config.quant)
        torch.manual_seed(derived_seed(seed, phase.number))
        supernet = MixedSupernet(phase.space, phase.proxy, scheme).to(device)
        self.supernet = supernet.to(memory_format=torch.channels_last)
        self.arch = Architecture(phase.space, device)
        self.optimizer = make_optimizer(self.supernet, config.search_block.optim)
        search = config.search_block
        self.arch_optimizer = torch.optim.Adam(
            self.arch.parameters(), lr=search.arch_lr, betas=(0.5, 0.999), weight_decay=search.arch_weight_decay
        )
        boost = config.quant.gradboost
        self.boost = GradBoost(self.supernet.parameters(), boost, seed) if boost.enabled else None
        if self.boost is not None:
            self.boost.attach(self.optimizer)
        self.generator = torch.Generator().manual_seed(derived_seed(seed, phase.number, 1))  # draws paths
        self.progress, self.lr = Progress(), 0.0

    @property
    def searching(self) -> bool:
        """Whether the warm-up is over: fake-quant is on and the architecture moves."""
        return self.progress.epoch >= self.phase.float_epochs

    @property
    def epochs(self) -> int:
        return self.phase.float_epochs + self.phase.epochs

    def begin_epoch(self) -> None:
        """Put the quantizers and GradBoost into the state of the present epoch."""
        set_state(self.supernet, QuantState.FAKE if self.searching else QuantState.OBSERVE)
        self.supernet.train()
        if self.boost is not None:
            if self.searching:
                self.boost.boost()
            else:
                self.boost.track()

    def step(self, weights_batch: Batch, arch_batch: Batch) -> None:
        """One update of the architecture (while searching) on one batch, and one of the weights on the other.

        Raises:
            SearchError: a loss is NaN or infinite.
            RangeError: an activation is.
        """
        self._set_lr()
        value = self._architecture_step(weights_batch, arch_batch) if self.searching else None
        loss = self._weight_step(weights_batch)
        self.progress.loss_sum += loss if value is None else value
        self.progress.step += 1

    def _weight_step(self, batch: Batch) -> float:
        pixels, labels = batch
        logits = self.supernet(pixels, self._training_mixture())
        loss = F.cross_entropy(logits, labels)
        self.progress.top1_sum += batch_top1(logits, labels)
        value = self._checked(float(loss.detach()))
        loss.backward()  # type: ignore[no-untyped-call]
        clip = self.config.search_block.optim.clip_norm
        if clip is not None:
            nn.utils.clip_grad_norm_(self.supernet.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value

    def _training_mixture(self) -> Mixture:
        if self.config.search_block.paths is Paths.sampled:
            return one_path(self.phase.space, self.arch.sample(self.generator), self.device)
        return Mixture({slot: weights.detach() for slot, weights in self.arch.probabilities().items()})

    def _architecture_step(self, weights_batch: Batch, arch_batch: Batch) -> float:
        parameters = tuple(self.arch.parameters())
        if self.config.search_block.paths is Paths.sampled:
            task, value = self._sampled(arch_batch, parameters)
        else:
            task, value = self._mixed(weights_batch, arch_batch, parameters)
        self._checked(value)
        cost = gradients(self.latency_term(), parameters)
        for parameter, gradient, extra in zip(parameters, task, cost, strict=True):
            parameter.grad = gradient + extra
        self.arch_optimizer.step()
        self.arch_optimizer.zero_grad(set_to_none=True)
        return value

    def _mixed(self, train: Batch, held_out: Batch, parameters: Sequence[Tensor]) -> tuple[Gradients, float]:
        def loss_on(batch: Batch) -> Tensor:
            return F.cross_entropy(self.supernet(batch[0], self.arch.mixed()), batch[1])

        weights = tuple(self.supernet.parameters())
        if self.config.search_block.order == 1:
            found, loss = first_order(lambda: loss_on(held_out), parameters, weights)
        else:
            found, loss = second_order(lambda: loss_on(train), lambda: loss_on(held_out), parameters, weights, self.lr)
        return found, float(loss)

    def _sampled(self, batch: Batch, parameters: Sequence[Tensor]) -> tuple[Gradients, float]:
        codes = [self.arch.sample(self.generator) for _ in range(PATHS_PER_STEP)]
        with torch.no_grad():
            losses = [
                float(F.cross_entropy(self.supernet(batch[0], one_path(self.phase.space, code, self.device)), batch[1]))
                for code in codes
            ]
        logs = [self.arch.log_probability(code) for code in codes]
        return score_function(logs, losses, parameters), sum(losses) / len(losses)

    def latency_term(self) -> Tensor:
        """Expected latency over the mean of the space, times its weight; float32 () with its gradient."""
        expected = self.costs.expected_ms(self.arch.probabilities())
        return expected / self.costs.mean_ms() * self.config.search_block.latency_weight

    def _checked(self, value: float) -> float:
        if math.isfinite(value):
            return value
        progress = self.progress
        raise SearchError(
            f"search-block: the loss is {value} in epoch {progress.epoch + 1}, step {progress.step + 1}, learning rate "
            f"{self.lr:.3g}; lower search_block.optim.lr or set search_block.optim.clip_norm"
        )

    def _set_lr(self) -> None:
        phase, progress = self.phase, self.progress
        start, epochs = (phase.float_epochs, phase.epochs) if self.searching else (0, phase.float_epochs)
        schedule = Schedule(self.config.search_block.optim, self.steps_per_epoch, epochs * self.steps_per_epoch)
        self.lr = schedule.apply(self.optimizer, (progress.epoch - start) * self.steps_per_epoch + progress.step)

    def next_epoch(self) -> None:
        self.progress = Progress(self.progress.epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        return {
            "supernet": self.supernet.state_dict(),
            "arch": self.arch.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "arch_optimizer": self.arch_optimizer.state_dict(),
            "boost": self.boost.state_dict() if self.boost is not None else None,
            "generator": self.generator.get_state(),
            "progress": asdict(self.progress),
            "rng": rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, the global random generators included."""
        self.supernet.load_state_dict(state["supernet"])
        self.arch.load_state_dict(state["arch"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.arch_optimizer.load_state_dict(state["arch_optimizer"])
        if self.boost is not None:
            self.boost.load_state_dict(state["boost"])
        self.generator.set_state(state["generator"])
        self.progress = Progress(**state["progress"])
        set_rng_state(state["rng"])
