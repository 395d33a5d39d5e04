"""The stage: costs, one search per seed, the comparison, the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from frostnas.artifacts import (
    BlockHistoryRow,
    BlockResult,
    BlockSpec,
    CandidateCosts,
    Contender,
    NetSpec,
    SeedResult,
)
from frostnas.config import Config, Paths
from frostnas.data import Splits
from frostnas.data.images import batch_count
from frostnas.engine import Recipe, Saver, Workspace
from frostnas.errors import InputError
from frostnas.search.block.costs import Measure, SlotCosts, measure_costs
from frostnas.search.block.plan import phase_count
from frostnas.search.block.seed import SeedSearch, Work, halves
from frostnas.search.block.trials.proxy import check_proxy
from frostnas.search.block.trials.train import Scores, Trial, contenders, finish, train_alone, trial_recipe
from frostnas.search.block.verdict import slot_results, warnings
from frostnas.search.spaces.block import BlockSpace, parse_block

NAME = "search-block"


def run(
    config: Config, data: Splits, measure: Measure, workspace: Workspace, identity: str, trial: Trial = train_alone
) -> BlockResult:
    """Search a block, and compare it with published and random ones.

    Args:
        identity: of everything that the result depends on; only a run of the same goes on.
        trial: trains a block's proxy network alone.

    Raises:
        InputError: the space, the proxy network or the options do not fit together.
        TrainingError: a loss or an activation became NaN or infinite.
        KeyboardInterrupt: stopped by the user; the next run goes on.
    """
    work = _work(config, data, measure, workspace, identity, trial)
    with work.saver:
        found = _search(work)
        comparison = _comparison(work, found)
    block, seeds, history = found.block, found.seeds, found.history
    slots = slot_results(work.space, block, seeds)
    notes = warnings(slots, history, seeds)
    for note in notes:
        workspace.say(f"{NAME}: warning: {note}")
    factors = {slot: tuple(values) for slot, values in found.costs.factors.items()}
    seconds = sum(seed.seconds for seed in seeds)
    return BlockResult(
        block,
        slots,
        history,
        comparison,
        seeds,
        CandidateCosts(found.costs.reference_ms, factors),
        notes,
        config.seed,
        seconds,
    )


@dataclass(frozen=True)
class FoundBlock:
    """What the searches ended with, before any comparison."""

    costs: SlotCosts
    block: BlockSpec
    seeds: tuple[SeedResult, ...]
    history: tuple[BlockHistoryRow, ...]


def search_only(config: Config, data: Splits, measure: Measure, workspace: Workspace, identity: str) -> FoundBlock:
    """`run` without the comparison."""
    work = _work(config, data, measure, workspace, identity, train_alone)
    with work.saver:
        return _search(work)


def _work(config: Config, data: Splits, measure: Measure, workspace: Workspace, identity: str, trial: Trial) -> Work:
    check(config)
    saver = Saver(workspace, f"{NAME}.pt", identity)
    space, recipe = BlockSpace(config.space.block), Recipe.of(config, "search_block")
    return Work(recipe, config.search_block, space, data, measure, workspace, saver, trial)


def _search(work: Work) -> FoundBlock:
    measured = work.saver.once(
        "costs", lambda: msgspec.to_builtins(measure_costs(work.space, work.proxy, work.measure))
    )
    costs = msgspec.convert(measured, SlotCosts)
    searches = _searches(work, costs)
    seeds = tuple(result for result, _ in searches)
    return FoundBlock(costs, _best(seeds), seeds, tuple(row for _, rows in searches for row in rows))


def check(config: Config) -> None:
    """Raise InputError for options that do not fit together."""
    search = config.search_block
    check_proxy(search.proxy)
    for name in search.published:
        parse_block(name)
    if search.paths is Paths.sampled and search.order == 2:
        raise InputError("search_block.order=2: needs search_block.paths=all; a sampled path has no unrolled gradient")


def _searches(work: Work, costs: SlotCosts) -> list[tuple[SeedResult, list[BlockHistoryRow]]]:
    search, recipe, workspace = work.search, work.recipe, work.workspace
    half, _ = halves(work.data.train, recipe.seed)
    epochs = search.float_epochs * phase_count(search) + search.epochs
    per_seed = epochs * batch_count(len(half), recipe.batch_size, shuffled=True)
    found = []
    for seed in range(recipe.seed, recipe.seed + search.seeds):

        def whole(seed: int = seed) -> Any:
            one = SeedSearch(work, costs, seed)
            done = len(one.track.rows) * one.steps + one.searcher.progress.step
            with workspace.progress(f"{NAME} seed {seed}", per_seed, done) as bar:
                one.search(bar)
            chosen = one.choose(lambda name, steps: workspace.progress(f"{NAME} seed {seed} {name}", steps))
            return msgspec.to_builtins((chosen, one.track.rows))

        found.append(msgspec.convert(work.saver.once(f"seed {seed}", whole), tuple[SeedResult, list[BlockHistoryRow]]))
    metrics = workspace.metrics(NAME, by=["seed"])
    for _, rows in found:
        for row in rows:
            metrics.row(
                seed=row.seed, epoch=row.epoch, phase=row.phase, loss=row.loss, expected_ms=row.expected_ms,
                top1_mixed="" if row.top1_mixed is None else row.top1_mixed, top1_path=row.top1_path, block=row.block,
            )  # fmt: skip
    return found


def _best(seeds: tuple[SeedResult, ...]) -> BlockSpec:
    """The block of the seed whose finals ended best; all seeds score in the same way."""
    return min(seeds, key=lambda seed: min(seed.finals.values())).block


def _comparison(work: Work, found: FoundBlock) -> tuple[Contender, ...]:
    space, saver, search = work.space, work.saver, work.search
    blocks = contenders(space, found.block, search.random_blocks, work.recipe.seed)
    specs = {block: work.proxy(block) for block in blocks.values()}
    recipe = trial_recipe(work.recipe, search.compare_epochs)
    scores: dict[BlockSpec, Scores] = {}
    with work.workspace.progress(f"{NAME} comparison", work.steps(recipe) * len(specs)) as bar:

        def after_step() -> None:
            bar.step()
            saver.after_step(lambda: None)

        for number, (block, spec) in enumerate(specs.items()):

            def trained(spec: NetSpec = spec) -> Any:
                return msgspec.to_builtins(finish(work.trial(recipe, spec, work.data), after_step))

            scores[block] = msgspec.convert(saver.once(f"contender {number}", trained), Scores)
    latencies = dict(zip(specs, saver.once("latencies", lambda: work.measure(list(specs.values()))), strict=True))
    return tuple(
        Contender(
            name,
            block,
            scores[block].top1_fp32,
            scores[block].top1_int8,
            latencies[block],
            found.costs.predict_ms(space, block) if block in space else None,
        )
        for name, block in blocks.items()
    )
