"""The last choice of a search: its candidates, and then the blocks around the best one, by a score of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from frostnas.artifacts import BlockSpec
from frostnas.search.spaces.block import BlockSpace


def neighbours(space: BlockSpace, block: BlockSpec) -> list[BlockSpec]:
    """The blocks that differ from ``block`` in one slot."""
    code = space.encode(block)
    return [
        space.decode((*code[:number], at, *code[number + 1 :]))
        for number, candidates in enumerate(space.slots.values())
        for at in range(len(candidates))
        if at != code[number]
    ]


def refine(
    space: BlockSpace, start: Iterable[BlockSpec], score: Callable[[BlockSpec], float], rounds: int
) -> dict[BlockSpec, float]:
    """Block -> score, lower is better, of everything that was looked at.

    Each round scores what is new around the best so far; a round that finds nothing better is the last.
    """
    scores = {block: score(block) for block in start}
    for _ in range(rounds):
        best = best_of(scores)
        scores |= {block: score(block) for block in neighbours(space, best) if block not in scores}
        if best_of(scores) == best:
            break
    return scores


def best_of(scores: dict[BlockSpec, float]) -> BlockSpec:
    """The block of the lowest score; the first of equals."""
    return min(scores, key=scores.__getitem__)
