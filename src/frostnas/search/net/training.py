"""Training the supernet: a path per step, in floating point first (StatAssist), then fake-quantized (GradBoost)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.config import Config
from frostnas.data import derived_seed
from frostnas.engine import Schedule, batch_top1, make_optimizer
from frostnas.engine.distributed import World, average_gradients, total
from frostnas.engine.synchronise import synchronise
from frostnas.quant import QuantState, set_state
from frostnas.quant.gradboost import GradBoost
from frostnas.search.net.policy import Policy
from frostnas.search.net.supernet import Supernet


class SearchError(FloatingPointError):
    """The supernet's loss is not a number; the message says where and what to change."""


@dataclass
class Progress:
    """Where the training is, and the sum over its present epoch."""

    epoch: int = 0
    """From 0 over both phases."""
    step: int = 0
    """Batches of the epoch that are done."""
    loss_sum: float = 0.0
    top1_sum: float = 0.0
    """Of the paths that were trained, on their own batches."""
    seconds: float = 0.0
    """Time spent, over all interruptions."""


class SupernetTrainer:
    """Supernet, policy, optimizer, GradBoost and position: all that a checkpoint holds."""

    def __init__(
        self, supernet: Supernet, policy: Policy, config: Config, steps_per_epoch: int, world: World | None = None
    ) -> None:
        """Args: world: of several processes that hold parts of every batch; their batch norm becomes a common one."""
        self.supernet, self.policy, self.config, self.steps_per_epoch = supernet, policy, config, steps_per_epoch
        self.world = world or World()
        if self.world.size > 1:
            synchronise(supernet)
        search = config.search_net
        self.epochs = search.float_epochs + search.epochs
        self.optimizer = make_optimizer(supernet, search.optim)
        boost = config.quant.gradboost
        self.boost = GradBoost(supernet.parameters(), boost, config.seed) if boost.enabled else None
        if self.boost is not None:
            self.boost.attach(self.optimizer)
        self.progress, self.lr = Progress(), 0.0

    @property
    def state(self) -> QuantState:
        """What the quantizers do in the present epoch."""
        return QuantState.OBSERVE if self.progress.epoch < self.config.search_net.float_epochs else QuantState.FAKE

    def begin_epoch(self) -> None:
        """Put the quantizers and GradBoost into the phase of the present epoch."""
        set_state(self.supernet, self.state)
        self.supernet.train()
        if self.boost is not None:
            if self.state.quantizes:
                self.boost.boost()
            else:
                self.boost.track()

    def step(self, pixels: Tensor, labels: Tensor) -> None:
        """One optimizer step of the policy's path on a batch, and the policy's own; other weights are not touched.

        Args:
            pixels: float32 (B, 3, S, S), this process's part of the batch.
            labels: int64 (B,).

        Raises:
            SearchError: the loss is NaN or infinite.
            RangeError: an activation is.
        """
        optim, progress = self.config.search_net.optim, self.progress
        self._set_lr()
        torch.manual_seed(derived_seed(self.config.seed, 3, progress.epoch, progress.step, self.world.rank))
        arch = self.policy.path(progress.epoch, progress.step)
        logits = self.supernet(pixels, arch)
        loss = F.cross_entropy(logits, labels)
        figures = torch.tensor([float(loss.detach()), batch_top1(logits, labels)], device=loss.device)
        value, top1 = (total(figures) / self.world.size).tolist()
        if not math.isfinite(value):
            raise SearchError(
                f"search-net: the loss is {value} in epoch {progress.epoch + 1}, step {progress.step + 1}, learning "
                f"rate {self.lr:.3g}; lower search_net.optim.lr or set search_net.optim.clip_norm"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.supernet.parameters())
        if optim.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.supernet.parameters(), optim.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        # The same noise in every process here: a policy that differed would send them down different paths.
        torch.manual_seed(derived_seed(self.config.seed, 4, progress.epoch, progress.step))
        self.policy.learn(progress.epoch, progress.step)
        progress.step += 1
        progress.loss_sum += value
        progress.top1_sum += top1

    def next_epoch(self) -> None:
        progress = self.progress
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.loss_sum = progress.top1_sum = 0.0

    def _set_lr(self) -> None:
        search, progress = self.config.search_net, self.progress
        start = search.float_epochs if self.state.quantizes else 0  # the schedule restarts with fake-quant
        epochs = search.epochs if self.state.quantizes else search.float_epochs
        schedule = Schedule(search.optim, self.steps_per_epoch, epochs * self.steps_per_epoch)
        self.lr = schedule.apply(self.optimizer, (progress.epoch - start) * self.steps_per_epoch + progress.step)

    def state_dict(self) -> dict[str, Any]:
        return {
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "boost": self.boost.state_dict() if self.boost is not None else None,
            "policy": self.policy.state_dict(),
            "progress": asdict(self.progress),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; random numbers belong to their step and need no state."""
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.boost is not None:
            self.boost.load_state_dict(state["boost"])
        self.policy.load_state_dict(state["policy"])
        self.progress = Progress(**state["progress"])
