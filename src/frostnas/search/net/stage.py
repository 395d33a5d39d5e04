"""Stage 2 as a whole: train the supernet, let the strategy pick, report everything that was scored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import msgspec
from torch import Tensor

from frostnas.artifacts import LatencyTable, NetResult, ParetoRow
from frostnas.config import BudgetConfig, Config, SearchNetConfig, Strategy
from frostnas.data import Splits, batch_count
from frostnas.engine import Recipe, Saver, Workspace, seed_all, weights_digest, weights_of
from frostnas.engine.distill import Lesson
from frostnas.engine.distributed import World, joined
from frostnas.errors import InputError
from frostnas.nets import Net
from frostnas.search.net import strategies
from frostnas.search.net.alone import search_alone
from frostnas.search.net.budget import Task
from frostnas.search.net.finals import hold_finals
from frostnas.search.net.gradient import GradientPaths
from frostnas.search.net.loop import Work, train
from frostnas.search.net.pareto import pareto_rows
from frostnas.search.net.policy import Policy, policy_of
from frostnas.search.net.scoring import Score, Scorer, share
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.task import make_task
from frostnas.search.spaces.arch import Arch, arch_name, parse_arch
from frostnas.search.spaces.network import NetworkSpace

SCORES = "search_net_scores.pt"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a network is wanted for: a table of the target's latencies and what the network may cost there."""

    table: LatencyTable
    budget: BudgetConfig


Front = tuple[tuple[NetResult, dict[str, Tensor]], ...]


class FoundNet(NamedTuple):
    """What a search ends with."""

    result: NetResult
    rows: tuple[ParetoRow, ...]
    weights: dict[str, Tensor]
    """The picked network's own, as they are in the supernet, or as it was trained alone."""
    front: Front = ()
    """The networks of the front by rising latency, each with its weights in the supernet; none where each was trained
    alone."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is searched, for what, and what with."""

    config: Config
    data: Splits
    space: NetworkSpace
    goals: Sequence[Goal]
    workspace: Workspace
    identity: str
    """Of everything that the result depends on: an interrupted run of the same goes on."""
    lesson: Lesson | None = None
    """What the supernet learns besides the labels."""
    parent: Net | None = None
    """The network that ``space`` is cut out of; all candidates start from their parts of it."""


def run(
    config: Config, data: Splits, space: NetworkSpace, table: LatencyTable, workspace: Workspace, identity: str
) -> FoundNet:
    """Search ``space`` from scratch under `budget` on one target; raises what `search` raises."""
    return search(Job(config, data, space, [Goal(table, config.budget)], workspace, identity))[0]


def search(job: Job) -> list[FoundNet]:
    """One network per goal, all from one supernet.

    Processes started by torchrun share every training batch, and score different networks.

    Raises:
        InputError: no network fits a budget, or a table does not hold the space.
        TrainingError: the loss or an activation is not a finite number.
    """
    with joined(job.data.train.labels.device, job.workspace.peer_timeout_s) as world:
        return _search(job, world)


def _search(job: Job, world: World) -> list[FoundNet]:
    search, recipe, workspace = job.config.search_net, Recipe.of(job.config, "search_net"), job.workspace
    recipe.check_shares(world)
    _check(search)
    seed_all(recipe.seed)
    start = time.monotonic()
    tasks = [make_task(goal.budget, job.space, goal.table, search.population) for goal in job.goals]
    for task in tasks:
        _announce(task, workspace)
    work = Work(recipe, search, job.data, workspace, job.identity, world, job.lesson, job.parent)
    if search.alone:
        best = [search_alone(work, task) for task in tasks]
        return [_found(work, task, *one, start) for task, one in zip(tasks, best, strict=True)]
    supernet, policy = _trained(work, tasks)
    scorer = work.scorer(supernet)
    picks = _score(work, tasks, policy, scorer)
    best = [_handed_over(work, task, supernet, scorer, pick) for task, pick in zip(tasks, picks, strict=True)]
    found = [_found(work, task, *one, start) for task, one in zip(tasks, best, strict=True)]
    return [one._replace(front=_front(one, supernet, scorer.scores)) for one in found]


def _front(found: FoundNet, supernet: Supernet, scores: Mapping[str, Score]) -> Front:
    """The networks that no faster one of the scored equals in accuracy, as the supernet has them."""
    front = []
    for row in found.rows:
        if row.on_front:
            net = supernet.extract(parse_arch(row.network))
            weights = weights_of(net)
            result = replace(
                found.result,
                net=net.spec,
                predicted_ms=row.latency_ms,
                top1=scores[row.network].top1,
                weights_sha256=weights_digest(weights),
            )
            front.append((result, weights))
    return tuple(front)


def _check(search: SearchNetConfig) -> None:
    for key, value in (("sandwich", search.sandwich), ("near", search.near)):
        if value and search.strategy is Strategy.gradient:
            raise InputError(f"search_net.{key}={value:g}: expected 0 with search_net=gradient, which draws alone")
    if search.near and search.sandwich:
        raise InputError(f"search_net.near={search.near:g}: expected 0 with search_net.sandwich={search.sandwich}")
    if search.alone and search.strategy is not Strategy.random:
        raise InputError(f"search_net.alone={search.alone}: expected 0, or search_net=random")
    if search.alone > search.epochs:
        raise InputError(f"search_net.alone={search.alone}: expected at most search_net.epochs={search.epochs}")


def _announce(task: Task, workspace: Workspace) -> None:
    count, limits = task.space.count(), f"{task.fastest_ms:.4g} to {task.slowest_ms:.4g} ms"
    sizes = task.space.sizes
    pixels = f" for images of {sizes[0]} to {sizes[-1]} pixels" if len(sizes) > 1 else ""
    workspace.say(f"search-net: {count:,} networks{pixels} of {limits}; budget {task.budget_ms:.4g} ms")
    if task.budget_ms > task.slowest_ms:
        workspace.say(
            f"search-net: the budget is above the slowest network's {task.slowest_ms:.4g} ms, so every network fits"
        )


def _trained(work: Work, tasks: Sequence[Task]) -> tuple[Supernet, Policy]:
    """The trained supernet, and what the policy of its paths has learnt."""
    search, space, seed = work.search, tasks[0].space, work.recipe.seed
    supernet = work.fresh(space, share_weights=search.share_weights)
    policy: Policy
    if search.strategy is Strategy.gradient:
        steps = batch_count(len(work.data.train), work.recipe.batch_size, shuffled=True)
        policy = GradientPaths(tasks, supernet, work.data.val, search, seed, steps)
    else:
        policy = policy_of(search, tasks, seed)
    train(work.trainer(supernet, policy), work.data, work.workspace, work.identity)
    if work.world.size == 1:
        return supernet, policy
    # Each process scores on its own from here on, so batch norm must not wait for the others.
    alone = work.fresh(space, share_weights=search.share_weights)
    alone.load_state_dict(supernet.state_dict())
    return alone, policy


def _handed_over(
    work: Work, task: Task, supernet: Supernet, scorer: Scorer, pick: strategies.Scored
) -> tuple[strategies.Scored, dict[str, Score], dict[str, Tensor]]:
    """The pick, or what beats it in the finals; all scores in the supernet; its weights."""
    if not work.search.finals:
        return pick, scorer.scores, weights_of(supernet.extract(pick.arch))
    final, weights = hold_finals(work, task, supernet, scorer.scores, pick)
    scores = dict(scorer.scores)
    if arch_name(final.arch) not in scores:  # the whole network need not have been scored
        scores[arch_name(final.arch)] = scorer(final.arch)
    return final, scores, weights


def _picker(strategy: Strategy, policy: Policy, number: int) -> strategies.Strategy:
    """How the network of task ``number`` is picked."""
    match strategy:
        case Strategy.evolution:
            return strategies.evolution
        case Strategy.random:
            return strategies.random_search
        case Strategy.reinforce:
            return strategies.reinforce
        case Strategy.gradient:
            assert isinstance(policy, GradientPaths)
            return partial(strategies.likeliest, decisions=policy.learners[number].decisions)


def _score(work: Work, tasks: Sequence[Task], policy: Policy, scorer: Scorer) -> list[strategies.Scored]:
    """The strategy's pick per task; besides, networks of every latency are scored for the front."""
    search, seed, world, device = work.search, work.recipe.seed, work.world, scorer.val.labels.device
    networks = strategies.evaluations(search) * len(tasks)
    known = partial(msgspec.to_builtins, scorer.scores)
    with (
        Saver(work.workspace, SCORES, work.identity, device) as saver,
        work.workspace.progress("networks", networks) as bar,
    ):
        scorer.scores.update(msgspec.convert(saver.live or {}, dict[str, Score]))

        def evaluate(archs: list[Arch]) -> list[Score]:
            for start in range(0, len(archs), world.size):  # a network per process
                share(scorer, archs[start : start + world.size], world, device)
                for arch in archs[start : start + world.size]:
                    bar.step(top1=scorer(arch).top1)
                saver.after_step(known)
            return [scorer(arch) for arch in archs]

        picks = []
        for number, task in enumerate(tasks):
            picks.append(_picker(search.strategy, policy, number)(task, evaluate, search, seed))
            evaluate(list(task.spread(search.front_networks, seed, search.near)))
        saver.save(known)
    return picks


def _found(
    work: Work,
    task: Task,
    pick: strategies.Scored,
    scores: Mapping[str, Score],
    weights: dict[str, Tensor],
    start: float,
) -> FoundNet:
    """Args: start: of the search, by the monotonic clock."""
    if len(sizes := task.space.sizes) > 1:
        work.workspace.say(f"search-net: images of {pick.arch.size} pixels, of {', '.join(map(str, sizes))}")
    result = NetResult(
        net=task.space.decode(pick.arch),
        strategy=work.search.strategy.value,
        budget_ms=task.budget_ms,
        predicted_ms=task.latency_ms(pick.arch),
        cpu=task.table.host.cpu,
        top1=pick.score.top1,
        alone=bool(work.search.alone),
        evaluated=len(scores),
        seed=work.recipe.seed,
        seconds=time.monotonic() - start,
        weights_sha256=weights_digest(weights),
    )
    return FoundNet(result, pareto_rows(task, scores, pick.arch, alone=result.alone), weights)
