"""The live state of a training run, and one optimizer step of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from frostnas.config import Config
from frostnas.engine import Schedule, make_optimizer, rng_state, set_rng_state
from frostnas.quant import QuantState, set_state
from frostnas.quant.gradboost import GradBoost
from frostnas.training.phases import phase_of


class TrainingError(FloatingPointError):
    """Training met a loss that is not a number; the message says where and what to change."""


@dataclass
class Progress:
    """Where a run is, and the sums over its present epoch."""

    epoch: int = 0
    """From 0 over all phases."""
    step: int = 0
    """Batches of the epoch that are done."""
    loss_sum: float = 0.0
    hits: int = 0
    images: int = 0
    seconds: float = 0.0
    """Time spent in training, over all interruptions."""

    @property
    def loss(self) -> float:
        return self.loss_sum / max(1, self.step)

    @property
    def top1(self) -> float:
        return self.hits / max(1, self.images)

    def next_epoch(self) -> None:
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.hits, self.images = 0.0, 0, 0


@dataclass
class Best:
    """The network that is kept: the best so far by validation accuracy."""

    top1: float = -1.0
    epoch: int = -1
    quantized: bool = False
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, top1: float, epoch: int, quantized: bool, model: nn.Module) -> None:
        """Keep ``model`` if it is at least as good; a quantized network beats every one trained in floating point."""
        if (quantized, top1) >= (self.quantized, self.top1):
            weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            self.top1, self.epoch, self.quantized, self.weights = top1, epoch, quantized, weights


class Trainer:
    """Model, optimizer, GradBoost, weight average and position: all that a checkpoint holds."""

    def __init__(self, model: nn.Module, config: Config, steps_per_epoch: int) -> None:
        self.model, self.config, self.steps_per_epoch = model, config, steps_per_epoch
        self.optimizer = make_optimizer(model, config.train.optim)
        boost = config.quant.gradboost
        self.boost = GradBoost(model.parameters(), boost, config.seed) if boost.enabled else None
        if self.boost is not None:
            self.boost.attach(self.optimizer)
        decay = config.train.ema_decay
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None  # type: ignore[no-untyped-call]
        self.progress, self.best, self.lr = Progress(), Best(), 0.0

    @property
    def evaluated(self) -> nn.Module:
        """The network that is measured and kept: the weight average where there is one."""
        return self.average.module if self.average is not None else self.model

    @property
    def state(self) -> QuantState:
        """What the quantizers do in the present epoch."""
        return phase_of(self.config.train, self.progress.epoch)[0].state

    def begin_epoch(self) -> None:
        """Put the quantizers and GradBoost into the phase of the present epoch."""
        set_state(self.model, self.state)
        set_state(self.evaluated, self.state)
        self.model.train()
        if self.boost is not None:
            if self.state.quantizes:
                self.boost.boost()
            else:
                self.boost.track()

    def step(self, pixels: Tensor, labels: Tensor) -> None:
        """One optimizer step on a batch.

        Raises:
            TrainingError: the loss is NaN or infinite.
            RangeError: an activation is.
        """
        train, progress = self.config.train, self.progress
        self._set_lr()
        logits = self.model(pixels)
        loss = F.cross_entropy(logits, labels, label_smoothing=train.label_smoothing)
        value = float(loss.detach())
        if value != value or value in (float("inf"), float("-inf")):
            phase, _ = phase_of(train, progress.epoch)
            raise TrainingError(
                f"train: the loss is {value} in epoch {progress.epoch + 1} ({phase.name}), step {progress.step + 1}, "
                f"learning rate {self.lr:.3g}; lower train.optim.lr or set train.optim.clip_norm"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        if train.optim.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), train.optim.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)
        progress.step += 1
        progress.loss_sum += value
        progress.hits += int((logits.detach().argmax(1) == labels).sum())
        progress.images += len(labels)

    def _set_lr(self) -> None:
        phase, epoch = phase_of(self.config.train, self.progress.epoch)
        steps = phase.schedule_epochs * self.steps_per_epoch
        schedule = Schedule(self.config.train.optim, self.steps_per_epoch, steps)
        self.lr = schedule.apply(self.optimizer, epoch * self.steps_per_epoch + self.progress.step)

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "boost": self.boost.state_dict() if self.boost is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "progress": asdict(self.progress),
            "best": {item.name: getattr(self.best, item.name) for item in fields(Best)},
            "rng": rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, the global random generators included."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.boost is not None:
            self.boost.load_state_dict(state["boost"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.progress = Progress(**state["progress"])
        self.best = Best(**state["best"])
        set_rng_state(state["rng"])
