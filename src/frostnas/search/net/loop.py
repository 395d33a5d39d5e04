"""The supernet's epochs, from wherever a run stopped."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from frostnas.config import SearchNetConfig
from frostnas.data import Splits, batch_count, derived_seed
from frostnas.engine import Recipe, Saver, Workspace
from frostnas.engine.distill import Lesson
from frostnas.engine.distributed import World
from frostnas.nets import Net
from frostnas.search.net.inherit import inherit
from frostnas.search.net.policy import Policy
from frostnas.search.net.scoring import Scorer
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.network import NetworkSpace

CHECKPOINT = "search_net.pt"


@dataclass(frozen=True)
class Work:
    """What the parts of one run share."""

    recipe: Recipe
    search: SearchNetConfig
    data: Splits
    workspace: Workspace
    identity: str
    """Of everything that the result depends on."""
    world: World
    lesson: Lesson | None = None
    """What the supernet learns besides the labels."""
    parent: Net | None = None
    """What every candidate has its first weights from; None for random ones."""

    def trainer(self, supernet: Supernet, policy: Policy, recipe: Recipe | None = None) -> SupernetTrainer:
        steps = batch_count(len(self.data.train), self.recipe.batch_size, shuffled=True)
        return SupernetTrainer(supernet, policy, recipe or self.recipe, steps, self.world, self.lesson)

    def scorer(self, supernet: Supernet) -> Scorer:
        recipe = self.recipe
        return Scorer(supernet, self.data, recipe.batch_size, self.search.recalibration_batches, recipe.seed)

    def fresh(self, space: NetworkSpace, *, share_weights: bool) -> Supernet:
        """A supernet that nothing was trained of but the parent."""
        supernet = Supernet(space, self.recipe.scheme, share_weights=share_weights)
        if self.parent is not None:
            inherit(supernet, self.parent)
        return supernet.to(self.data.train.labels.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train(trainer: SupernetTrainer, data: Splits, workspace: Workspace, identity: str, what: str = "supernet") -> None:
    """Train to the last epoch; metrics go to `metrics/search-net.csv`.

    Args:
        what: is trained, beside the bar.

    Raises:
        TrainingError: the loss or an activation is not a finite number.
        KeyboardInterrupt: the user asked to stop; the state is saved.
    """
    recipe, steps = trainer.recipe, trainer.steps_per_epoch
    part = (trainer.world.rank, trainer.world.size)
    with Saver(workspace, CHECKPOINT, identity, trainer.device) as saver:
        if saver.live is not None:
            trainer.load_state_dict(saver.live)
            done = trainer.progress
            workspace.say(f"search-net: going on from epoch {done.epoch + 1}, step {done.step + 1}")
        progress = trainer.progress
        metrics = saver.metrics("search-net")
        done_steps = progress.epoch * steps + progress.step
        with workspace.progress(what, recipe.total_epochs * steps, done_steps) as bar:
            while progress.epoch < recipe.total_epochs:
                trainer.begin_epoch()
                seed = derived_seed(recipe.seed, progress.epoch)
                side = data.train.side if trainer.lesson else None
                for batch in data.train.batches(
                    recipe.batch_size, seed=seed, augment=True, skip=progress.step, part=part, size=side
                ):
                    trainer.step(*batch)
                    bar.step(loss=progress.loss, top1=progress.top1)
                    if progress.step < steps:  # the epoch's last state is saved after its row
                        saver.after_step(trainer.state_dict, settled=not trainer.unread)
                figures = {"loss": progress.loss, "top1": progress.top1}
                metrics.row(epoch=progress.epoch + 1, phase=trainer.state.value, lr=trainer.lr, **figures)
                progress.next_epoch()
                saver.after_step(trainer.state_dict)
        saver.save(trainer.state_dict)
