"""What every strategy is, and the two that search a trained supernet: evolution and random search.

A strategy asks for scores; it is a function of its task, its seed and the scores alone. A resumed run calls it again
with the scores that are already known.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from frostnas.config import SearchNetConfig
from frostnas.search.net.budget import Task
from frostnas.search.net.scoring import Score
from frostnas.search.spaces.network import Arch, arch_name
from frostnas.search.spaces.trellis import Window

Evaluate = Callable[[Arch], Score]
MUTATION = 0.15
"""Probability with which a mutant's decision is drawn anew."""
TRIES = 50
"""Attempts at a new network before a known one is taken."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A network and what it is worth."""

    arch: Arch
    score: Score


Strategy = Callable[[Task, Evaluate, SearchNetConfig, int], Scored]
"""(task, evaluate, config, seed) -> the best admitted network that it found."""


def best_of(found: list[Scored]) -> Scored:
    """The highest score; of equals the one that was found first."""
    return max(found, key=lambda one: one.score)


def random_search(task: Task, evaluate: Evaluate, config: SearchNetConfig, seed: int) -> Scored:
    """The best of as many uniformly drawn networks as the other strategies score."""
    rng, window = random.Random(seed), task.window()
    found: dict[str, Scored] = {}
    for _ in range(config.population * config.generations):
        arch = new(partial(task.draw, window, rng), found)
        found[arch_name(arch)] = Scored(arch, evaluate(arch))
    return best_of(list(found.values()))


def evolution(task: Task, evaluate: Evaluate, config: SearchNetConfig, seed: int) -> Scored:
    """Evolutionary search: the best quarter of a population of all seen are the next parents (Guo et al. 2020, 3.4)."""
    rng, window = random.Random(seed), task.window()
    found: dict[str, Scored] = {}
    for _ in range(config.generations):
        ranked = sorted(found.values(), key=lambda one: one.score, reverse=True)
        parents = [one.arch for one in ranked[: max(2, config.population // 4)]]
        for _ in range(config.population):
            arch = new(partial(_child, task, window, parents, rng), found)
            found[arch_name(arch)] = Scored(arch, evaluate(arch))
    return best_of(list(found.values()))


def _child(task: Task, window: Window, parents: list[Arch], rng: random.Random) -> Arch:
    """An admitted mutant or crossing of the parents; a fresh network where there are none or none fits."""
    for _ in range(TRIES if parents else 0):
        child = rng.choice(parents)
        if rng.random() < 0.5:
            child = task.space.crossover(child, rng.choice(parents), rng)
        child = task.space.mutate(child, rng, MUTATION)
        if task.admits(child):
            return child
    return task.draw(window, rng)


def new(make: Callable[[], Arch], known: dict[str, Scored]) -> Arch:
    """A network that is not yet known; after `TRIES` attempts any."""
    for _ in range(TRIES):
        arch = make()
        if arch_name(arch) not in known:
            return arch
    return arch
