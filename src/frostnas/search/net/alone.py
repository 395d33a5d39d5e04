"""Random search without a supernet: each network is trained alone, all of them together for the supernet's epochs."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from frostnas.config import SearchNetConfig
from frostnas.data import Splits, batch_count
from frostnas.engine import Recipe, Workspace, seed_all, weights_of
from frostnas.engine.distill import Lesson
from frostnas.engine.distributed import World
from frostnas.search.net.budget import Task
from frostnas.search.net.loop import train
from frostnas.search.net.policy import NothingLearnt
from frostnas.search.net.scoring import Score, Scorer
from frostnas.search.net.strategies import Scored, best_of, several
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.arch import Arch, arch_name


class OnePath(NothingLearnt):
    """The policy that trains one network and nothing else."""

    def __init__(self, arch: Arch) -> None:
        self.arch = arch

    def path(self, epoch: int, step: int) -> Arch:
        return self.arch


def search_alone(
    recipe: Recipe,
    search: SearchNetConfig,
    task: Task,
    data: Splits,
    workspace: Workspace,
    identity: str,
    world: World,
    lesson: Lesson | None = None,
) -> tuple[Scored, dict[str, Score], dict[str, Tensor]]:
    """The best of `search_net.alone` networks drawn uniformly within the budget, the scores of all, the best's weights.

    Each gets an equal share of the epochs and a checkpoint of its own, from which an interrupted run goes on.
    """
    rng, count = random.Random(recipe.seed), search.alone
    short = replace(recipe, float_epochs=recipe.float_epochs // count, epochs=recipe.epochs // count)
    steps = batch_count(len(data.train), recipe.batch_size, shuffled=True)
    found: list[Scored] = []
    weights: dict[str, Tensor] = {}
    for arch in several(partial(task.draw, task.window(), rng), count, set()):
        seed_all(recipe.seed)
        place = replace(workspace, run_dir=workspace.run_dir / "alone" / arch_name(arch).replace("|", "_"))
        network = _one(recipe, task, data)
        train(SupernetTrainer(network, OnePath(arch), short, steps, world, lesson), data, place, identity)
        kept = _one(recipe, task, data)  # without batch norm that waits for other processes
        kept.load_state_dict(network.state_dict())
        scorer = Scorer(kept, data, recipe.batch_size, search.recalibration_batches, recipe.seed)
        found.append(Scored(arch, scorer(arch)))
        if best_of(found).arch == arch:
            weights = weights_of(kept.extract(arch))
    return best_of(found), {arch_name(one.arch): one.score for one in found}, weights


def _one(recipe: Recipe, task: Task, data: Splits) -> Supernet:
    """Nothing in common between candidates, so that a path is a network of its own."""
    supernet = Supernet(task.space, recipe.scheme, share_weights=False)
    supernet.to(data.train.labels.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet
