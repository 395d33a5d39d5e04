"""The training loop of every stage: phases, GradBoost, schedule, clipping, finite losses, what a checkpoint holds.

A stage supplies the loss. What the quantizers do, the learning rate and whether GradBoost adds noise follow from the
recipe and the epoch alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from frostnas.engine.distributed import World, average_gradients, total
from frostnas.engine.finite import first_broken
from frostnas.engine.optim import classifier_of, make_optimizer
from frostnas.engine.recipe import Phase, Recipe
from frostnas.engine.schedule import Schedule
from frostnas.quant import QuantState, RangeError, set_state
from frostnas.quant.gradboost import GradBoost

READ_EVERY = 50  # steps between two looks at the loss on an accelerator, each of which waits for it


class TrainingError(FloatingPointError):
    """Training met a loss or an activation that is not a number; the message says where and what to change."""


@dataclass
class Progress:
    """Where a training is, and the sums over its present epoch."""

    epoch: int = 0
    """From 0 over all phases."""
    step: int = 0
    """Batches of the epoch that are done."""
    loss_sum: float = 0.0
    hits: float = 0.0
    images: int = 0

    @property
    def loss(self) -> float:
        """Mean over the images of the epoch."""
        return self.loss_sum / max(1, self.images)

    @property
    def top1(self) -> float:
        """As a fraction of the images of the epoch, as they were augmented."""
        return self.hits / max(1, self.images)

    def next_epoch(self) -> None:
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.hits, self.images = 0.0, 0.0, 0


def in_parts(count: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of one batch, float32 (B, ...) or int64 (B,), in up to ``count`` parts of two images at least."""
    count = max(1, min(count, len(tensors[0]) // 2))  # batch norm needs two images
    return zip(*(one.tensor_split(count) for one in tensors), strict=True)


@dataclass(frozen=True, slots=True)
class Part:
    """Images that go through the network together: a batch, or a part of one."""

    forward: Callable[[], tuple[Tensor, Tensor]]
    """Gives the mean loss, (), and the logits, (B, classes)."""
    labels: Tensor
    """int64 (B,)."""

    @classmethod
    def of(cls, logits: Callable[[], Tensor], labels: Tensor) -> Part:
        """With the cross-entropy as its loss."""

        def forward() -> tuple[Tensor, Tensor]:
            said = logits()
            return F.cross_entropy(said, labels), said

        return cls(forward, labels)


class Qat:
    """A network in training that can stop and go on at any step: optimizer, GradBoost and position are its state."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        steps_per_epoch: int,
        world: World | None = None,
        *,
        whole: bool = True,
        amp: bool = False,
    ) -> None:
        """Args: world: of several processes that hold parts of every batch.
        whole: every step reaches every weight; weights that a step does not reach stay as they are.
        amp: scale the loss on CUDA, for gradients in float16.
        """
        self.model, self.recipe, self.steps_per_epoch = model, recipe, steps_per_epoch
        self.world, self.whole = world or World(), whole
        self.device = next(model.parameters()).device
        self.network = self._parallel()
        self.optimizer = make_optimizer(model, recipe.optim, recipe.trunk_lr)
        boost = recipe.quant.gradboost
        boosted = boost.enabled and recipe.epochs > 0  # in FP32 training nothing would use its averages
        self.boost = GradBoost(model.parameters(), boost, recipe.seed) if boosted else None
        if self.boost is not None:
            self.boost.attach(self.optimizer)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=amp and self.device.type == "cuda")
        self.progress, self.lr = Progress(), 0.0
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # loss and hits since they were read
        self.unread = 0

    @property
    def phase(self) -> Phase:
        """That of the present epoch."""
        return self.recipe.at(self.progress.epoch)[0]

    @property
    def state(self) -> QuantState:
        """What the quantizers do in the present epoch."""
        return self.phase.state

    @property
    def done(self) -> float:
        """The share of the present schedule that lies behind."""
        return self._scheduled() / (self.phase.schedule_epochs * self.steps_per_epoch)

    def _scheduled(self) -> int:
        """Steps of the present schedule that lie behind."""
        return self.recipe.at(self.progress.epoch)[1] * self.steps_per_epoch + self.progress.step

    def begin_epoch(self) -> None:
        """Put weights, quantizers and GradBoost into the phase of the present epoch."""
        set_state(self.model, self.state)
        self.model.train()
        if self.recipe.head_epochs:
            self._learn(head=self.phase.head)
        if self.boost is not None:
            if self.state.quantizes:
                self.boost.boost()
            else:
                self.boost.track()

    def _learn(self, *, head: bool) -> None:
        """Let all weights learn, or those of the classifier alone: then no gradient goes further back."""
        classifier = classifier_of(self.model) if head else None
        learning = set((classifier or self.model).parameters())
        changed = [one for one in self.model.parameters() if one.requires_grad != (one in learning)]
        for parameter in changed:
            parameter.requires_grad_(parameter in learning)
        if changed:
            self.network = self._parallel()  # it waits for the gradients that there were when it was made

    def _parallel(self) -> nn.Module:
        """The model, or what joins its gradients with those of other processes."""
        if not self.whole or self.world.size == 1:
            return self.model
        return DistributedDataParallel(self.model, device_ids=[self.device] if self.device.type == "cuda" else None)

    def set_lr(self) -> float:
        """The learning rate of the present step, put into the optimizer."""
        steps = self.phase.schedule_epochs * self.steps_per_epoch
        optim = replace(self.recipe.optim, lr=self.recipe.optim.lr * self.phase.lr)
        schedule = Schedule(optim, self.steps_per_epoch, steps)
        self.lr = schedule.apply(self.optimizer, self._scheduled())
        return self.lr

    def update(self, *parts: Part) -> None:
        """One optimizer step on this process's part of a batch, in one or several pieces.

        Raises:
            TrainingError: the loss or an activation is NaN or infinite (on an accelerator: found within `READ_EVERY`
                steps). The weights are those of before the step.
        """
        self.set_lr()
        images = sum(len(part.labels) for part in parts)
        for number, part in enumerate(parts, start=1):
            with self._apart(number < len(parts)), self.watched():
                loss, logits = part.forward()
                self.scaler.scale(loss * (len(part.labels) / images)).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                hits = (logits.argmax(1) == part.labels).sum()
                self._sums += torch.stack([loss.detach() * len(part.labels), hits])
        self.unread += 1
        step = self.progress.step + 1
        if self.device.type == "cpu" or step % READ_EVERY == 0 or step == self.steps_per_epoch:
            self.read(*parts)
        self._move()
        self.progress.step = step
        self.progress.images += images * self.world.size

    def _apart(self, more: bool) -> AbstractContextManager[None]:
        """Processes exchange the gradients of a batch once, after its last part."""
        network = self.network
        return network.no_sync() if isinstance(network, DistributedDataParallel) and more else nullcontext()

    def _move(self) -> None:
        self.scaler.unscale_(self.optimizer)
        if not self.whole:
            average_gradients(self.model.parameters())
        if self.recipe.optim.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optim.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def read(self, *parts: Part) -> None:
        """Bring loss and hits of all processes into `progress`.

        Raises:
            TrainingError: the loss is not a number; ``parts`` go through the network again to find the first layer.
        """
        if not self.unread:
            return
        loss, hits = total(self._sums).tolist()
        self._sums.zero_()
        self.unread = 0
        self.check(loss, *(part.forward for part in parts))
        self.progress.loss_sum += loss
        self.progress.hits += hits

    def check(self, loss: float, *again: Callable[[], object]) -> None:
        """Raise TrainingError if a loss of the present step is not a number.

        Args:
            again: computations that lead to such a loss; the first layer in them whose output is not finite is named.
        """
        if math.isfinite(loss):
            return
        # Several processes would wait for each other where one of them stops in the middle.
        layer = first_broken(self.model, *again) if self.world.size == 1 else None
        raise self._error(f"the loss is {loss}" + (f", first in layer {layer}" if layer else ""))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside the block an activation that is not finite is a TrainingError that says when."""
        try:
            yield
        except RangeError as error:
            raise self._error(str(error).partition(";")[0]) from error

    def _error(self, what: str) -> TrainingError:
        key, progress = self.recipe.key, self.progress
        return TrainingError(
            f"{key.replace('_', '-')}: {what} in epoch {progress.epoch + 1} ({self.phase.name}), step "
            f"{progress.step + 1}, learning rate {self.lr:.3g}; lower {key}.optim.lr or set {key}.optim.clip_norm"
        )

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on; random numbers belong to their step and need no state."""
        self.read()
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "boost": self.boost.state_dict() if self.boost is not None else None,
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.boost is not None:
            self.boost.load_state_dict(state["boost"])
        self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
