"""Training the supernet: a path per step, or several."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.data import derived_seed
from frostnas.engine import Part, Qat, Recipe
from frostnas.engine.distill import Lesson, answers, distilled
from frostnas.engine.distributed import World
from frostnas.engine.qat import in_parts
from frostnas.engine.synchronise import synchronise
from frostnas.search.net.policy import Policy
from frostnas.search.net.supernet import Supernet
from frostnas.search.spaces.arch import Arch


class SupernetTrainer(Qat):
    """The loop over a supernet, of which each step trains the paths that a policy names."""

    def __init__(
        self,
        supernet: Supernet,
        policy: Policy,
        recipe: Recipe,
        steps_per_epoch: int,
        world: World | None = None,
        lesson: Lesson | None = None,
    ) -> None:
        """Args: world: of several processes that hold parts of every batch; their batch norm becomes a common one.
        lesson: what all paths learn besides the labels.
        """
        if world is not None and world.size > 1:
            synchronise(supernet)
        super().__init__(supernet, recipe, steps_per_epoch, world, whole=False)
        self.policy, self.lesson = policy, lesson

    def step(self, pixels: Tensor, labels: Tensor) -> None:
        """One optimizer step of the policy's paths on a batch, and the policy's own; other weights are not touched.

        Args:
            pixels: float32 (B, 3, S, S), this process's part of the batch; larger where a teacher sees it too.
            labels: int64 (B,).

        Raises:
            TrainingError: as `Qat.update`.
        """
        seed, epoch, step = self.recipe.seed, self.progress.epoch, self.progress.step
        torch.manual_seed(derived_seed(seed, 3, epoch, step, self.world.rank))
        parts = tuple(in_parts(self.recipe.micro_batches, pixels, labels))
        archs = self.policy.paths(epoch, step)
        asked = [(some, wanted, self._taught(some)) for some, wanted in parts]  # once for all paths
        self.update(*(self._part(*one, arch) for arch in archs for one in asked))
        # The same noise in every process here: a policy that differed would send them down different paths.
        torch.manual_seed(derived_seed(seed, 4, epoch, step))
        with self.watched():
            self.policy.learn(epoch, step)

    def _taught(self, pixels: Tensor) -> Tensor | None:
        return answers(self.lesson.teacher, pixels) if self.lesson is not None else None

    def _part(self, pixels: Tensor, labels: Tensor, taught: Tensor | None, arch: Arch) -> Part:
        lesson = self.lesson
        if lesson is None or taught is None:
            return Part.of(partial(self.model, pixels, arch), labels)

        def forward() -> tuple[Tensor, Tensor]:
            logits = self.model(pixels, arch)
            loss = F.cross_entropy(logits, labels)
            return distilled(loss, logits, taught, lesson.config), logits

        return Part(forward, labels)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"policy": self.policy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.policy.load_state_dict(state["policy"])
