"""How a strategy picks from a trained supernet: evolution, REINFORCE, the likeliest networks, and random search.

A strategy asks for scores of several networks at a time, which processes may share out; it is a function of its task,
its seed and the scores alone. A resumed run calls it again with the scores that are already known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from frostnas.config import SearchNetConfig
from frostnas.config import Strategy as StrategyName
from frostnas.search.net.budget import Task
from frostnas.search.net.decisions import Decisions
from frostnas.search.net.scoring import Score
from frostnas.search.spaces.arch import Arch, arch_name
from frostnas.search.spaces.trellis import Window

Evaluate = Callable[[list[Arch]], list[Score]]
MUTATION = 0.15
"""Probability with which a mutant's decision is drawn anew."""
TRIES = 50
"""Attempts at a new network before a known one is taken."""
PATIENCE = 4
"""REINFORCE draws at most so many times the networks that it may score."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A network and what it is worth."""

    arch: Arch
    score: Score


Strategy = Callable[[Task, Evaluate, SearchNetConfig, int], Scored]
"""(task, evaluate, config, seed) -> the best admitted network that it found."""


def evaluations(config: SearchNetConfig) -> int:
    """How many networks a stage scores at most, for its progress bar."""
    alone = config.strategy is StrategyName.gradient
    return config.population * (1 if alone else config.generations) + config.front_networks


def best_of(found: list[Scored]) -> Scored:
    """The highest score; of equals the one that was found first."""
    return max(found, key=lambda one: one.score)


def random_search(task: Task, evaluate: Evaluate, config: SearchNetConfig, seed: int) -> Scored:
    """The best of as many uniformly drawn networks as the other strategies score."""
    rng, window = random.Random(seed), task.window()
    drawn = several(partial(task.draw, window, rng), config.population * config.generations, set())
    return best_of(scored(drawn, evaluate))


def evolution(task: Task, evaluate: Evaluate, config: SearchNetConfig, seed: int) -> Scored:
    """Evolutionary search: the best quarter of a population of all seen are the next parents (Guo et al. 2020, 3.4)."""
    rng, window = random.Random(seed), task.window()
    found: dict[str, Scored] = {}
    for _ in range(config.generations):
        ranked = sorted(found.values(), key=lambda one: one.score, reverse=True)
        parents = [one.arch for one in ranked[: max(2, config.population // 4)]]
        known = set(found)
        children = several(partial(_child, task, window, parents, known, rng), config.population, known)
        found.update({arch_name(one.arch): one for one in scored(children, evaluate)})
    return best_of(list(found.values()))


def _child(task: Task, window: Window, parents: list[Arch], known: set[str], rng: random.Random) -> Arch:
    """An admitted and unknown mutant or crossing of the parents; a fresh network where there is none."""
    for _ in range(TRIES if parents else 0):
        child = rng.choice(parents)
        if rng.random() < 0.5:
            child = task.space.crossover(child, rng.choice(parents), rng)
        child = task.space.mutate(child, rng, MUTATION)
        if task.admits(child) and arch_name(child) not in known:
            return child
    return task.draw(window, rng)


def reinforce(task: Task, evaluate: Evaluate, config: SearchNetConfig, seed: int) -> Scored:
    """The published search: a controller of independent logits that maximises ACC * (LAT / T)^w by REINFORCE.

    It draws until it has seen as many networks as the other strategies; those that it draws again teach it again, and
    cost nothing. Its last generation is drawn from what it learnt, within the budget.
    """
    rng, decisions, own = random.Random(seed), Decisions(task.space), config.reinforce
    optimizer = torch.optim.Adam(decisions.parameters(), lr=own.lr)
    baseline: float | None = None
    found: dict[str, Scored] = {}
    wanted = config.population * (config.generations - 1)
    for _ in range(PATIENCE * wanted // own.batch):
        if len(found) >= wanted:
            break
        drawn = [decisions.draw(rng) for _ in range(min(own.batch, wanted - len(found)))]
        seen = scored(drawn, evaluate)
        rewards = [_reward(task, one, own.power) for one in seen]
        mean = sum(rewards) / len(rewards)
        baseline = mean if baseline is None else 0.9 * baseline + 0.1 * mean
        surprise = torch.tensor([reward - baseline for reward in rewards], dtype=torch.float64)
        log_probability = torch.stack([decisions.log_probability(arch) for arch in drawn])
        optimizer.zero_grad()
        (-(surprise * log_probability).mean()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.update({arch_name(one.arch): one for one in seen})
    last = likeliest(task, evaluate, config, seed, decisions, frozenset(found))
    return best_of([*(one for one in found.values() if task.admits(one.arch)), last])


def _reward(task: Task, one: Scored, power: float) -> float:
    """ACC * (LAT / T)^w (MnasNet, section 3; FrostNet, section 4)."""
    return one.score.top1 * math.pow(task.latency_ms(one.arch) / task.budget_ms, power)


def likeliest(
    task: Task,
    evaluate: Evaluate,
    config: SearchNetConfig,
    seed: int,
    decisions: Decisions,
    seen: frozenset[str] = frozenset(),
) -> Scored:
    """The best of a population not ``seen``: draws from a learnt distribution, then mutants and crossings of them.

    A distribution can end so sharp that its draws are a few networks over and over.
    """
    rng, known = random.Random(seed), set(seen)
    draw = partial(task.draw, task.window(decisions.weight()), rng)
    drawn = list(dict.fromkeys(several(draw, (config.population + 1) // 2, known)))
    child = partial(_child, task, task.window(), drawn, known, rng)
    return best_of(scored([*drawn, *several(child, config.population - len(drawn), known)], evaluate))


def scored(archs: list[Arch], evaluate: Evaluate) -> list[Scored]:
    return [Scored(arch, score) for arch, score in zip(archs, evaluate(archs), strict=True)]


def several(make: Callable[[], Arch], count: int, known: set[str]) -> list[Arch]:
    """``count`` networks that are not yet known; after `TRIES` attempts at one, any."""
    archs = []
    for _ in range(count):
        for _ in range(TRIES):
            arch = make()
            if arch_name(arch) not in known:
                break
        known.add(arch_name(arch))
        archs.append(arch)
    return archs
