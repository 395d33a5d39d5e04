"""The live state of a training run, and one optimizer step of it."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import asdict, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from frostnas.config import Config
from frostnas.data import derived_seed, resized
from frostnas.engine import Schedule, make_optimizer
from frostnas.engine.distributed import World, total
from frostnas.engine.synchronise import synchronise
from frostnas.quant import QuantState, set_state
from frostnas.quant.gradboost import GradBoost
from frostnas.training.distill import distilled
from frostnas.training.mixing import grown_size, make_mixer
from frostnas.training.phases import phase_of
from frostnas.training.position import Best, Progress

READ_EVERY = 50  # steps between two looks at the loss on an accelerator, each of which waits for it


class TrainingError(FloatingPointError):
    """Training met a loss that is not a number; the message says where and what to change."""


class Trainer:
    """Model, optimizer, GradBoost, weight average and position: all that a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        config: Config,
        steps_per_epoch: int,
        classes: int,
        world: World | None = None,
        teacher: nn.Module | None = None,
    ) -> None:
        self.model, self.config, self.steps_per_epoch = model, config, steps_per_epoch
        self.teacher = teacher
        self.world = world or World()
        self.device = next(model.parameters()).device
        train, boost = config.train, config.quant.gradboost
        if self.world.size > 1 and train.synchronise:
            synchronise(model)
        self.average = _average(model, train.ema_decay)
        self.network = _parallel(model, self.world, self.device)
        self.optimizer = make_optimizer(model, train.optim)
        boosted = boost.enabled and train.epochs > 0  # in FP32 training nothing would use its averages
        self.boost = GradBoost(model.parameters(), boost, config.seed) if boosted else None
        if self.boost is not None:
            self.boost.attach(self.optimizer)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=train.amp and self.device.type == "cuda")
        self.mixer = make_mixer(train, classes)
        self.progress, self.best, self.lr = Progress(), Best(), 0.0
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # loss and hits since they were read
        self.unread = 0

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
        """One optimizer step on this process's part of a batch: float32 (B, 3, S, S), int64 (B,).

        Raises:
            TrainingError: the loss is NaN or infinite (on an accelerator: found within `READ_EVERY` steps).
            RangeError: an activation is.
        """
        progress, train = self.progress, self.config.train
        torch.manual_seed(derived_seed(self.config.seed, 1, progress.epoch, progress.step, self.world.rank))
        done = self._set_lr()
        pixels = resized(pixels, grown_size(pixels.shape[-1], train.resize_from, done))
        pixels, targets = self.mixer(pixels, labels)
        parts = list(zip(*(one.chunk(train.micro_batches) for one in (pixels, targets, labels)), strict=True))
        for number, (some, wanted, classes) in enumerate(parts, start=1):
            self._backward(some, wanted, classes, len(some) / len(labels), last=number == len(parts))
        self._update()
        progress.step += 1
        self.unread += 1
        progress.images += len(labels) * self.world.size
        if self.device.type == "cpu" or progress.step % READ_EVERY == 0 or progress.step == self.steps_per_epoch:
            self.read()

    def _backward(self, pixels: Tensor, targets: Tensor, labels: Tensor, share: float, last: bool) -> None:
        """Add the gradient of ``share`` of a batch; processes exchange theirs after the last part."""
        network = self.network
        with network.no_sync() if isinstance(network, DistributedDataParallel) and not last else nullcontext():
            half = torch.float16 if self.device.type == "cuda" else torch.bfloat16
            with torch.autocast(self.device.type, half, enabled=self.config.train.amp):
                logits = network(pixels)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            loss = F.cross_entropy(logits, targets, label_smoothing=self.config.train.label_smoothing)
            if self.teacher is not None:
                loss = distilled(loss, logits, self.teacher, pixels, self.config.train.distill)
            self.scaler.scale(loss * share).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self._sums += torch.stack([loss.detach() * len(labels), (logits.argmax(1) == labels).sum()])

    def _update(self) -> None:
        clip = self.config.train.optim.clip_norm
        self.scaler.unscale_(self.optimizer)
        if clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)

    def read(self) -> None:
        """Bring loss and hits of all processes into `progress`, and see that the loss is a number."""
        loss, hits = total(self._sums).tolist()
        self._sums.zero_()
        self.unread, progress = 0, self.progress
        if not math.isfinite(loss):
            phase, _ = phase_of(self.config.train, progress.epoch)
            raise TrainingError(
                f"train: the loss is {loss} in epoch {progress.epoch + 1} ({phase.name}), step {progress.step}, "
                f"learning rate {self.lr:.3g}; lower train.optim.lr or set train.optim.clip_norm"
            )
        progress.loss_sum, progress.hits = progress.loss_sum + loss, progress.hits + hits

    def _set_lr(self) -> float:
        """Set the learning rate of the present step; gives the share of its schedule that is done."""
        phase, epoch = phase_of(self.config.train, self.progress.epoch)
        steps = phase.schedule_epochs * self.steps_per_epoch
        step = epoch * self.steps_per_epoch + self.progress.step
        self.lr = Schedule(self.config.train.optim, self.steps_per_epoch, steps).apply(self.optimizer, step)
        return step / steps

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "boost": self.boost.state_dict() if self.boost is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
            "best": {item.name: getattr(self.best, item.name) for item in fields(Best)},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; random numbers belong to their step and need no state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.boost is not None:
            self.boost.load_state_dict(state["boost"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.scaler.load_state_dict(state["scaler"])
        self.progress, self.best = Progress(**state["progress"]), Best(**state["best"])


def _average(model: nn.Module, decay: float | None) -> AveragedModel | None:
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def _parallel(model: nn.Module, world: World, device: torch.device) -> nn.Module:
    if world.size == 1:
        return model
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
