"""Random search without a supernet: each network is trained alone, all of them together for the supernet's epochs."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from frostnas.config import Config
from frostnas.data import Splits, batch_count
from frostnas.engine import Workspace, seed_all, weights_of
from frostnas.engine.distributed import World
from frostnas.quant import Scheme
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
    config: Config, task: Task, data: Splits, workspace: Workspace, fingerprint: str, world: World
) -> tuple[Scored, dict[str, Score], dict[str, Tensor]]:
    """The best of `search_net.alone` networks drawn uniformly within the budget, the scores of all, the best's weights.

    Each gets an equal share of the epochs and a checkpoint of its own, from which an interrupted run goes on.
    """
    search, rng = config.search_net, random.Random(config.seed)
    share = replace(search, float_epochs=search.float_epochs // search.alone, epochs=search.epochs // search.alone)
    short = replace(config, search_net=share)
    steps = batch_count(len(data.train), search.batch_size, shuffled=True)
    found: list[Scored] = []
    weights: dict[str, Tensor] = {}
    for arch in several(partial(task.draw, task.window(), rng), search.alone, set()):
        seed_all(config.seed)
        place = replace(workspace, run_dir=workspace.run_dir / "alone" / arch_name(arch).replace("|", "_"))
        network = _one(config, task, data)
        train(SupernetTrainer(network, OnePath(arch), short, steps, world), data, place, fingerprint)
        kept = _one(config, task, data)  # without batch norm that waits for other processes
        kept.load_state_dict(network.state_dict())
        scorer = Scorer(kept, data, search.batch_size, search.recalibration_batches, config.seed)
        found.append(Scored(arch, scorer(arch)))
        if best_of(found).arch == arch:
            weights = weights_of(kept.extract(arch))
    return best_of(found), {arch_name(one.arch): one.score for one in found}, weights


def _one(config: Config, task: Task, data: Splits) -> Supernet:
    """Nothing in common between candidates, so that a path is a network of its own."""
    supernet = Supernet(task.space, Scheme.of(config.quant), share_weights=False)
    supernet.to(data.train.labels.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet
