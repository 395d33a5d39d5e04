"""Learning rates as functions of the step, so that a phase restarts and a run resumes by its step number alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from frostnas.config import OptimConfig, ScheduleName

WARMUP_START = 1e-6


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate over one phase."""

    config: OptimConfig
    steps_per_epoch: int
    steps: int
    """Optimizer steps in the whole phase."""

    def lr(self, step: int) -> float:
        """Learning rate of optimizer step ``step``, counted from 0 at the start of the phase."""
        config = self.config
        warmup = config.warmup_epochs * self.steps_per_epoch
        if step < warmup:
            return WARMUP_START + (config.lr - WARMUP_START) * (step + 1) / math.ceil(warmup)
        match config.schedule:
            case ScheduleName.constant:
                return config.lr
            case ScheduleName.step:
                decays = math.floor(step / self.steps_per_epoch / max(config.step_epochs, 1e-9))
                return config.lr * config.step_factor**decays
            case ScheduleName.cosine:
                progress = (step - warmup) / max(1.0, self.steps - warmup)
                return config.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> float:
        """Set the learning rate of ``step`` in every group, times the group's `share` of it, and return it."""
        lr = self.lr(step)
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("share", 1.0)
        return lr
