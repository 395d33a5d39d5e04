"""Replays the last choice of the block search on blocks that are trained already: random ones against guided ones.

    python benchmarks/block_choice.py [TRUTH]

TRUTH is a truth.json of `block_search.py` with two training seeds per block. One seed's accuracy stands for the score
that a block is chosen by, the other's for what it is worth; the blocks are those of the file. No latency counts.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from frostnas.artifacts import BlockSpec
from frostnas.config import BlockSpaceConfig
from frostnas.search.block.trials.finalists import refine
from frostnas.search.spaces.block import BlockSpace, parse_block

TRUTH = Path(__file__).parent / "results" / "block_search" / "truth.json"
REPEATS = 300
START = 10  # random blocks that the guided choice begins with, as many as the search drew then
BUDGETS = (12, 15, 18, 24)  # trainings
TENTH = 0.1
Worth = Mapping[BlockSpec, float]


@dataclass(frozen=True)
class Trained(BlockSpace):
    """A space of which only some blocks can be had."""

    blocks: tuple[BlockSpec, ...]

    def __iter__(self) -> Iterator[BlockSpec]:
        return iter(self.blocks)


def chosen(space: Trained, scores: Worth, rng: random.Random, start: int, more: int) -> BlockSpec:
    """The block that scores best of ``start`` random ones and ``more`` guided ones."""
    losses = refine(space, rng.sample(space.blocks, start), lambda block: -scores[block], lambda block: 0.0, more)
    return min(losses, key=losses.__getitem__)


def standing(space: Trained, seeds: tuple[Worth, Worth], start: int, more: int) -> tuple[float, float, float]:
    """Share of choices in the best tenth, mean number of better blocks, mean accuracy; all by the other seed."""
    rng, better, accuracies = random.Random(0), [], []
    for repeat in range(REPEATS):
        scores, worth = seeds[repeat % 2], seeds[1 - repeat % 2]
        mine = worth[chosen(space, scores, rng, start, more)]
        better.append(sum(other > mine for other in worth.values()))
        accuracies.append(mine)
    tenth = statistics.mean(count < TENTH * len(space.blocks) for count in better)
    return tenth, statistics.mean(better), statistics.mean(accuracies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path, nargs="?", default=TRUTH)
    raw = json.loads(parser.parse_args().truth.read_text())
    twice = {parse_block(code): row["top1"] for code, row in raw.items() if len(row["top1"]) > 1}
    seeds = tuple({block: values[seed] for block, values in twice.items()} for seed in (0, 1))
    space = Trained(BlockSpaceConfig(), tuple(twice))
    print(f"{len(twice)} blocks, {REPEATS} choices each\n")
    print("| trainings | choice | in the best tenth | better blocks | top-1 |\n|---|---|---|---|---|")
    for budget in BUDGETS:
        for name, start in (("random", budget), ("guided", START)):
            tenth, better, top1 = standing(space, (seeds[0], seeds[1]), start, budget - start)
            print(f"| {budget} | {name} | {tenth:.0%} | {better:.1f} | {top1:.4f} |")


if __name__ == "__main__":
    main()
