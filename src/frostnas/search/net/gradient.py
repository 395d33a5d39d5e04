"""Gradient search: logits of the decisions learn beside the weights, under the expected latency.

The loss of the logits is cross-entropy + latency_weight * |E[latency] / budget - 1| on validation images, one
straight-through Gumbel-softmax sample per step; weights learn on training images (ProxylessNAS, FBNet).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.config import GradientConfig, SearchNetConfig
from frostnas.data import Images, batch_count, derived_seed
from frostnas.search.net.budget import Task
from frostnas.search.net.decisions import Decisions, Expectation
from frostnas.search.net.policy import UniformPaths
from frostnas.search.net.supernet import Supernet
from frostnas.search.spaces.arch import Arch

HOT, COLD = 5.0, 0.5  # Gumbel-softmax temperature at the first and the last step


class Learner:
    """The logits of one task and their optimizer."""

    def __init__(self, task: Task, config: GradientConfig) -> None:
        self.budget_ms, self.latency_weight = task.budget_ms, config.latency_weight
        self.decisions = Decisions(task.space)
        self.expectation = Expectation(task.space, task.table.workload_ms)
        self.optimizer = torch.optim.Adam(self.decisions.parameters(), lr=config.lr, betas=(0.5, 0.999))

    def step(self, supernet: Supernet, pixels: Tensor, labels: Tensor, temperature: float, seed: int) -> None:
        """One step of the logits on a batch; the weights get no gradient."""
        arch, gates = self.decisions.gumbel(temperature, torch.Generator().manual_seed(seed))
        loss = F.cross_entropy(supernet(pixels, arch, gates), labels).double().cpu() + self.penalty()
        logits = list(self.decisions.parameters())
        gradients = torch.autograd.grad(loss, logits, allow_unused=True)
        for logit, gradient in zip(logits, gradients, strict=True):
            logit.grad = gradient
        self.optimizer.step()

    def penalty(self) -> Tensor:
        """latency_weight * |E[latency] / budget - 1|, float64 ()."""
        expected_ms = self.expectation(self.decisions.probabilities())
        return self.latency_weight * (expected_ms / self.budget_ms - 1).abs()


class GradientPaths:
    """Uniform paths at first, then those of the learnt distribution; several tasks take turns."""

    def __init__(
        self, tasks: Sequence[Task], supernet: Supernet, val: Images, config: SearchNetConfig, seed: int, steps: int
    ) -> None:
        """Args: steps: training steps per epoch."""
        self.supernet, self.val, self.config, self.seed, self.steps = supernet, val, config, seed, steps
        self.uniform = UniformPaths(supernet.space, seed)
        self.learners = [Learner(task, config.gradient) for task in tasks]
        self.start = config.float_epochs + int(config.epochs * config.gradient.start)

    def paths(self, epoch: int, step: int) -> Sequence[Arch]:
        if epoch < self.start:
            return self.uniform.paths(epoch, step)
        return (self._learner(epoch, step).decisions.draw(random.Random(derived_seed(self.seed, epoch, step))),)

    def learn(self, epoch: int, step: int) -> None:
        """Move the logits of the step's task, once they move at all."""
        if epoch < self.start:
            return
        done, total = self._done(epoch, step), self._done(self.config.float_epochs + self.config.epochs, 0)
        batches = batch_count(len(self.val), self.config.batch_size, shuffled=True)
        order = derived_seed(self.seed, 1, done // batches)
        batch = self.val.batches(self.config.batch_size, seed=order, augment=True, skip=done % batches)
        pixels, labels = next(iter(batch))
        temperature = HOT * (COLD / HOT) ** (done / total)
        noise = derived_seed(self.seed, 2, done)
        self._learner(epoch, step).step(self.supernet, pixels, labels, temperature, noise)

    def _done(self, epoch: int, step: int) -> int:
        """Steps of the logits before this one."""
        return (epoch - self.start) * self.steps + step

    def _learner(self, epoch: int, step: int) -> Learner:
        return self.learners[self._done(epoch, step) % len(self.learners)]

    def state_dict(self) -> dict[str, Any]:
        return {
            "logits": [learner.decisions.state_dict() for learner in self.learners],
            "optimizers": [learner.optimizer.state_dict() for learner in self.learners],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for learner, logits, moments in zip(self.learners, state["logits"], state["optimizers"], strict=True):
            learner.decisions.load_state_dict(logits)
            learner.optimizer.load_state_dict(moments)
