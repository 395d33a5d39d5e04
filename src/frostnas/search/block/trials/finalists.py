"""The last choice of a search: blocks trained alone, and more of them where a model of their scores hopes most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from frostnas.artifacts import BlockSpec
from frostnas.search.block.trials.surrogate import predict
from frostnas.search.spaces.block import BlockSpace

CURIOSITY = 1.0  # standard deviations that a block is hoped to be better than its prediction


def drawn(
    space: BlockSpace, architectures: Sequence[Mapping[str, tuple[float, ...]]], count: int, seed: int
) -> list[BlockSpec]:
    """``count`` different blocks by the mean of the architectures, likelier ones more often.

    Args:
        architectures: slot -> probability of every candidate; blocks of probability 0 are never drawn.
    """
    codes = np.array([space.encode(block) for block in space])  # (blocks, slots)
    chances = np.ones(len(codes))
    for slot, column in zip(space.slots, codes.T, strict=True):
        chances *= np.mean([one[slot] for one in architectures], axis=0)[column]
    possible = np.flatnonzero(chances)
    rng = np.random.default_rng(seed)
    picked = rng.choice(possible, min(count, len(possible)), replace=False, p=chances[possible] / chances.sum())
    return [space.decode(tuple(map(int, codes[at]))) for at in picked]


def refine(
    space: BlockSpace,
    start: Iterable[BlockSpec],
    score: Callable[[BlockSpec], float],
    cost: Callable[[BlockSpec], float],
    more: int,
) -> dict[BlockSpec, float]:
    """Block -> score, lower is better, of ``start`` and of ``more`` blocks, each chosen by all scores before it.

    Args:
        score: what is known of a block only after it was trained.
        cost: what is known of it before; it counts in the choice and is not in the result.
    """
    scores = {block: score(block) for block in start}
    for _ in range(more):
        rest = [block for block in space if block not in scores]
        if not rest:
            break
        known = {space.encode(block): value for block, value in scores.items()}
        mean, deviation = predict(known, [space.encode(block) for block in rest])
        hope = mean - CURIOSITY * deviation + [cost(block) for block in rest]
        block = rest[int(hope.argmin())]
        scores[block] = score(block)
    return scores
