"""Which path a training step takes, and what is learnt beside the weights."""

from __future__ import annotations

import random
from typing import Any, Protocol

from frostnas.data import derived_seed
from frostnas.search.spaces.arch import Arch
from frostnas.search.spaces.network import NetworkSpace


class Policy(Protocol):
    """A function of seed, epoch, step and its own state, so that a resumed run takes the same paths."""

    def path(self, epoch: int, step: int) -> Arch:
        """The path of a training step."""
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

    def path(self, epoch: int, step: int) -> Arch:
        return self.space.draw(random.Random(derived_seed(self.seed, epoch, step)))
