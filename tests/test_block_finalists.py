"""The last choice of a block search."""

from __future__ import annotations

from frostnas.artifacts import BlockSpec
from frostnas.config import BlockSpaceConfig
from frostnas.search.block.finalists import best_of, neighbours, refine
from frostnas.search.spaces.block import BlockSpace, parse_block

SPACE = BlockSpace(BlockSpaceConfig())
FROST = parse_block("frost")


def distance(block: BlockSpec) -> float:
    """Slots in which a block differs from Frost's."""
    return sum(mine != other for mine, other in zip(SPACE.encode(block), SPACE.encode(FROST), strict=True))


def test_neighbours_differ_in_one_slot() -> None:
    around = neighbours(SPACE, FROST)
    assert len(around) == len(set(around)) == sum(len(candidates) - 1 for candidates in SPACE.slots.values())
    assert {distance(block) for block in around} == {1}


def test_rounds_go_on_from_the_best_and_end_where_nothing_is_better() -> None:
    far = parse_block("none-6-max_pool_3-relu-squeeze_excite-add")
    assert distance(far) == 3
    looked_at: list[BlockSpec] = []

    def score(block: BlockSpec) -> float:
        looked_at.append(block)
        return distance(block)

    assert distance(best_of(refine(SPACE, [far], score, 2))) == 1
    looked_at.clear()
    assert best_of(refine(SPACE, [far], score, 9)) == FROST
    assert len(looked_at) == len(set(looked_at)) <= 1 + 4 * len(neighbours(SPACE, FROST))
    assert refine(SPACE, [far], score, 0) == {far: 3}
