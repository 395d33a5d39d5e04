"""Random search without a supernet: each network is trained alone, all of them together for the supernet's epochs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from frostnas.engine import seed_all, weights_of
from frostnas.search.net.budget import Task
from frostnas.search.net.loop import Work, train
from frostnas.search.net.policy import NothingLearnt
from frostnas.search.net.scoring import Score
from frostnas.search.net.strategies import Scored, best_of, several
from frostnas.search.spaces.arch import Arch, arch_name


class OnePath(NothingLearnt):
    """The policy that trains one network and nothing else."""

    def __init__(self, arch: Arch) -> None:
        self.arch = arch

    def paths(self, epoch: int, step: int) -> Sequence[Arch]:
        return (self.arch,)


def search_alone(work: Work, task: Task) -> tuple[Scored, dict[str, Score], dict[str, Tensor]]:
    """The best of `search_net.alone` networks drawn uniformly within the budget, the scores of all, the best's weights.

    Each gets an equal share of the epochs and a checkpoint of its own, from which an interrupted run goes on.
    """
    recipe, count = work.recipe, work.search.alone
    rng = random.Random(recipe.seed)
    short = replace(recipe, float_epochs=recipe.float_epochs // count, epochs=recipe.epochs // count)
    found: list[Scored] = []
    weights: dict[str, Tensor] = {}
    for arch in several(partial(task.draw, task.window(), rng), count, set()):
        seed_all(recipe.seed)
        place = replace(work.workspace, run_dir=work.workspace.run_dir / "alone" / arch_name(arch).replace("|", "_"))
        # Nothing in common between candidates, so that a path is a network of its own.
        network = work.fresh(task.space, share_weights=False)
        train(work.trainer(network, OnePath(arch), short), work.data, place, work.identity, "alone")
        kept = work.fresh(task.space, share_weights=False)  # without batch norm that waits for other processes
        kept.load_state_dict(network.state_dict())
        found.append(Scored(arch, work.scorer(kept)(arch)))
        if best_of(found).arch == arch:
            weights = weights_of(kept.extract(arch))
    return best_of(found), {arch_name(one.arch): one.score for one in found}, weights
