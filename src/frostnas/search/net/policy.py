"""Which paths a training step takes, and what is learnt beside the weights."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from frostnas.config import SearchNetConfig
from frostnas.data import derived_seed
from frostnas.search.net.budget import Task
from frostnas.search.spaces.arch import Arch
from frostnas.search.spaces.network import NetworkSpace


class Policy(Protocol):
    """A function of seed, epoch, step and its own state, so that a resumed run takes the same paths."""

    def paths(self, epoch: int, step: int) -> Sequence[Arch]:
        """The paths of a training step, whose gradients are averaged."""
        ...

    def learn(self, epoch: int, step: int) -> None:
        """What follows the step."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class NothingLearnt:
    """What a policy does whose paths do not depend on the training."""

    def learn(self, epoch: int, step: int) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class UniformPaths(NothingLearnt):
    """Every decision uniform; nothing is learnt (Guo et al. 2020, 3.2)."""

    def __init__(self, space: NetworkSpace, seed: int) -> None:
        self.space, self.seed = space, seed

    def paths(self, epoch: int, step: int) -> Sequence[Arch]:
        return (self.space.draw(random.Random(derived_seed(self.seed, epoch, step))),)


class NearPaths(NothingLearnt):
    """Networks of a budget's latency or somewhat less, so that no step goes to one that cannot be picked.

    Every decision is uniform among them; several budgets take turns by chance.
    """

    def __init__(self, tasks: Sequence[Task], share: float, seed: int) -> None:
        """Args: share: of a budget, the least latency."""
        near = [replace(task, floor_ms=min(task.floor_ms, share * task.budget_ms)) for task in tasks]
        self.windows, self.seed = [(task, task.window()) for task in near], seed

    def paths(self, epoch: int, step: int) -> Sequence[Arch]:
        rng = random.Random(derived_seed(self.seed, epoch, step))
        task, window = rng.choice(self.windows)
        return (task.draw(window, rng),)


class Sandwich(NothingLearnt):
    """The largest network in every step, and beside it some that are drawn with every decision uniform.

    So the largest keeps what it can, and what it learns is there for its parts (Yu and Huang 2019, 3.1).
    """

    def __init__(self, space: NetworkSpace, seed: int, smaller: int) -> None:
        """Args: smaller: how many are drawn."""
        self.space, self.seed, self.smaller, self.largest = space, seed, smaller, space.largest

    def paths(self, epoch: int, step: int) -> Sequence[Arch]:
        rng = random.Random(derived_seed(self.seed, epoch, step))
        return (self.largest, *(self.space.draw(rng) for _ in range(self.smaller)))


def policy_of(search: SearchNetConfig, tasks: Sequence[Task], seed: int) -> Policy:
    """What `search_net.near` and `search_net.sandwich` ask for."""
    space = tasks[0].space
    if search.near:
        return NearPaths(tasks, search.near, seed)
    return Sandwich(space, seed, search.sandwich) if search.sandwich else UniformPaths(space, seed)
