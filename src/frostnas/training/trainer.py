"""The live state of a training run, and one step of it."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from frostnas.config import TrainConfig
from frostnas.data import derived_seed
from frostnas.engine import Part, Qat, Recipe
from frostnas.engine.distill import answers, distilled
from frostnas.engine.distributed import World
from frostnas.engine.qat import in_parts
from frostnas.engine.synchronise import synchronise
from frostnas.quant import set_state
from frostnas.resize import resized
from frostnas.training.best import Best
from frostnas.training.mixing import grown_size, make_mixer


class Trainer(Qat):
    """The loop of stage 3, with a weight average and the best network so far."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        options: TrainConfig,
        steps_per_epoch: int,
        classes: int,
        world: World | None = None,
        teacher: nn.Module | None = None,
        class_weights: Tensor | None = None,
        *,
        size: int | None = None,
    ) -> None:
        """
        Args:
            options: what the recipe does not say; of what both say the recipe counts.
            class_weights: of the classes in the loss, float32 (classes,); None for equal ones.
            size: side of the network's images, pixels, where those that `step` is given may be larger.
        """
        if world is not None and world.size > 1 and options.synchronise:
            synchronise(model)
        self.average = _average(model, options.ema_decay)
        super().__init__(model, recipe, steps_per_epoch, world, amp=options.amp)
        self.options, self.teacher, self.size = options, teacher, size
        self.mixer = make_mixer(options, classes)
        self.class_weights = class_weights
        self.best = Best()

    @property
    def evaluated(self) -> nn.Module:
        """The network that is measured and kept: the weight average where there is one."""
        return self.average.module if self.average is not None else self.model

    def begin_epoch(self) -> None:
        super().begin_epoch()
        set_state(self.evaluated, self.state)

    def step(self, pixels: Tensor, labels: Tensor) -> None:
        """One optimizer step on this process's part of a batch: float32 (B, 3, R, R), int64 (B,).

        Raises:
            TrainingError: as `Qat.update`.
        """
        progress, options = self.progress, self.options
        torch.manual_seed(derived_seed(self.recipe.seed, 1, progress.epoch, progress.step, self.world.rank))
        pixels, targets = self.mixer(pixels, labels)
        parts = in_parts(options.micro_batches, pixels, targets, labels)
        self.update(*(Part(partial(self._forward, some, wanted), classes) for some, wanted, classes in parts))
        if self.average is not None:
            self.average.update_parameters(self.model)

    def _present_size(self, side: int) -> int:
        """Side of the network's images in the present step, of pictures of ``side``; the same in every process."""
        options, progress = self.options, self.progress
        size = self.size or side
        if options.sizes:
            drawn = derived_seed(self.recipe.seed, 5, progress.epoch, progress.step)
            size = options.sizes[drawn % len(options.sizes)]
        return grown_size(size, options.resize_from, self.done)

    def _forward(self, pixels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        half = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        with torch.autocast(self.device.type, half, enabled=self.options.amp):
            logits = self.network(resized(pixels, self._present_size(pixels.shape[-1])))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = self._loss(logits, targets)
        if self.teacher is not None:
            loss = distilled(loss, logits, answers(self.teacher, pixels), self.options.distill)
        return loss, logits

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        smooth, weights = self.options.label_smoothing, self.class_weights
        if weights is None:
            return F.cross_entropy(logits, targets, label_smoothing=smooth)
        # The mean over images: over weights, which is the default, parts of a batch would not add up to the whole.
        total = F.cross_entropy(logits, targets, weights, label_smoothing=smooth, reduction="sum")
        return total / len(logits)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "average": self.average.state_dict() if self.average is not None else None,
            "best": {item.name: getattr(self.best, item.name) for item in fields(Best)},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.best = Best(**state["best"])


def _average(model: nn.Module, decay: float | None) -> AveragedModel | None:
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
