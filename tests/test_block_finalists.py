"""The last choice of a block search: what is drawn, and what is tried next."""

from __future__ import annotations

import random

import pytest

from frostnas.artifacts import BlockSpec
from frostnas.config import BlockSpaceConfig
from frostnas.search.block.trials.finalists import drawn, refine
from frostnas.search.block.trials.surrogate import predict
from frostnas.search.spaces.block import BlockSpace, parse_block

SPACE = BlockSpace(BlockSpaceConfig())
FROST = parse_block("frost")
EVEN = {slot: (1 / len(candidates),) * len(candidates) for slot, candidates in SPACE.slots.items()}


def distance(block: BlockSpec) -> float:
    """Slots in which a block differs from Frost's."""
    return sum(mine != other for mine, other in zip(SPACE.encode(block), SPACE.encode(FROST), strict=True))


def free(block: BlockSpec) -> float:
    return 0.0


def test_draws_are_different_blocks_and_the_same_for_the_same_seed() -> None:
    draws = drawn(SPACE, [EVEN], 20, seed=1)
    assert len(set(draws)) == 20
    assert draws == drawn(SPACE, [EVEN], 20, seed=1) != drawn(SPACE, [EVEN], 20, seed=2)


def test_draws_follow_the_mean_of_the_architectures_and_never_take_what_was_dropped() -> None:
    sure = EVEN | {"expand": (1.0, 0.0), "skip": (0.9, 0.1)}
    draws = drawn(SPACE, [sure], 40, seed=0)
    assert {block.expand for block in draws} == {3}
    assert sum(block.skip == "none" for block in draws) > 25
    assert {block.expand for block in drawn(SPACE, [sure, EVEN], 40, seed=0)} == {3, 6}
    assert len(drawn(SPACE, [sure], 1000, seed=0)) == len(SPACE) // 2


@pytest.mark.parametrize("seed", range(5))
def test_what_is_tried_next_leads_to_the_best_block_sooner_than_chance(seed: int) -> None:
    start = [block for block in SPACE.distinct(random.Random(seed), 10) if distance(block) > 1]
    scores = refine(SPACE, start, distance, free, 12)
    assert list(scores)[: len(start)] == start
    assert len(scores) == len(start) + 12
    assert min(scores, key=scores.__getitem__) == FROST


def test_a_known_cost_counts_in_what_is_tried_next() -> None:
    start = SPACE.distinct(random.Random(0), 6)
    dear = refine(SPACE, start, distance, lambda block: 100.0 * (block.expand == 6), 8)
    assert {block.expand for block in list(dear)[6:]} == {3}


def test_no_block_is_scored_twice_and_the_end_of_the_space_is_the_end() -> None:
    small = BlockSpace(BlockSpaceConfig(reuse=["none"], spatial=["depthwise_3"], activation=["relu"]))
    looked_at: list[BlockSpec] = []
    refine(small, [next(iter(small))], lambda block: looked_at.append(block) or 0.0, free, 99)
    assert len(looked_at) == len(set(looked_at)) == len(small) == 8


def test_predictions_are_surest_and_truest_beside_what_is_known() -> None:
    known = {(0, 0, 0): 1.0, (0, 0, 1): 1.2, (1, 1, 1): 3.0}
    mean, deviation = predict(known, [(0, 0, 0), (0, 1, 0), (2, 2, 2)])
    assert mean[0] == pytest.approx(1.0, abs=0.2)
    assert mean[0] < mean[1] < mean[2]
    assert deviation[0] < deviation[1] < deviation[2]


def test_equal_scores_predict_themselves() -> None:
    mean, _ = predict({(0, 0): 2.0, (1, 0): 2.0}, [(0, 1), (1, 1)])
    assert list(mean) == [2.0, 2.0]
