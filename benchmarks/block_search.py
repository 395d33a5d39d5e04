"""Where the found block stands among a random sample of its space, each block trained alone for one equal budget.

    python benchmarks/block_search.py runs/block-search data=hard_digits data.image_size=16 --sample 50 --seeds 3
    python benchmarks/block_search.py runs/block-search data=hard_digits data.image_size=16 --measure

Accuracy is that of fake-quant evaluation on the test images, which no search sees, as the mean over ``--repeats``
training seeds; latency is measured in INT8, all blocks interleaved, in ``SESSIONS`` sessions, of which the least
counts: a busy machine only adds time. What is done is kept in OUT/truth.json and OUT/searches.json, and not done again;
the second command measures latencies anew.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from frostnas.artifacts import BlockSpec, NetSpec
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.data import Splits, load
from frostnas.engine import Recipe, Workspace, pick_device
from frostnas.latency.nets import measure_nets
from frostnas.nets import NAMED_BLOCKS
from frostnas.search.block import stage
from frostnas.search.block.costs import Measure
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.block.trials.train import train_alone, trial_recipe
from frostnas.search.spaces.block import KIND, BlockSpace, block_code, parse_block

METHODS = {
    "all paths, first order": [],
    "all paths, second order": ["search_block.order=2"],
    "sampled paths": ["search_block=sampled"],
    "progressive": ["search_block=progressive"],
}
SAME_LATENCY = 1.03  # repeated measurements of one block differ by as much
GOAL = 0.1
ENOUGH = 9  # rivals that it takes to tell a best tenth
SESSIONS = 4
FoundBlock = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One block trained alone and measured."""

    top1: float
    """Mean over training seeds."""
    ms: float
    """Least of the measuring sessions."""


class Truth:
    """What every block is worth, on disk: code -> {"top1": one per training seed, "ms": one per session}."""

    def __init__(self, path: Path, config: Config, data: Splits, measure: Measure) -> None:
        self.path, self.config, self.data, self.measure = path, config, data, measure
        self.raw: dict[str, dict[str, list[float]]] = json.loads(path.read_text()) if path.exists() else {}

    def _spec(self, code: str) -> NetSpec:
        images = self.data.format
        return proxy_spec(self.config.search_block.proxy, parse_block(code), images.image_size, len(images.classes))

    def train(self, codes: Sequence[str], repeats: int) -> None:
        """Train what is missing, seed after seed."""
        held_out = replace(self.data, val=self.data.test)
        recipe = trial_recipe(Recipe.of(self.config, "search_block"), self.config.search_block.compare_epochs)
        for seed in range(repeats):
            for code in codes:
                known = self.raw.setdefault(code, {"top1": [], "ms": []})["top1"]
                if len(known) == seed:
                    *_, scores = train_alone(replace(recipe, seed=seed), self._spec(code), held_out)
                    assert scores is not None
                    known.append(scores.top1_int8)
                    self._save()

    def time(self, *, again: bool) -> None:
        """Measure all blocks at once if one has no latency: latencies of one session compare."""
        if again or not all(row["ms"] for row in self.raw.values()):
            sessions = [self.measure([self._spec(code) for code in self.raw]) for _ in range(SESSIONS)]
            for row, latencies in zip(self.raw.values(), zip(*sessions, strict=True), strict=True):
                row["ms"] = list(latencies)
            self._save()

    def _save(self) -> None:
        self.path.write_text(json.dumps(self.raw, indent=1))

    def rows(self) -> dict[str, Row]:
        return {
            code: Row(statistics.mean(row["top1"]), min(row["ms"])) for code, row in self.raw.items() if row["top1"]
        }


def sampled_blocks(space: BlockSpace, count: int) -> list[BlockSpec]:
    """The published blocks and random ones."""
    named = [block for block in NAMED_BLOCKS.values() if block.kind == KIND]
    return [*named, *space.distinct(random.Random(0), count, tuple(named))]


def standing(rows: dict[str, Row], code: str, sample: Sequence[str]) -> tuple[int, int]:
    """Blocks of the sample at no more latency that are strictly more accurate, and how many are compared."""
    mine = rows[code]
    rivals = [rows[other] for other in sample if other != code and rows[other].ms <= SAME_LATENCY * mine.ms]
    return sum(rival.top1 > mine.top1 for rival in rivals), len(rivals)


def reached(better: int, compared: int) -> bool:
    """Whether a block is among the best tenth of itself and those that it is compared with, if these are enough."""
    return compared >= ENOUGH and better < GOAL * (compared + 1)


def search(config: Config, data: Splits, measure: Measure, folder: Path) -> FoundBlock:
    """One run of the stage, without its comparison."""
    with Workspace.open(folder) as workspace:
        result = stage.search_only(config, data, measure, workspace, folder.name)
    return {
        "block": block_code(result.block),
        "own": block_code(result.seeds[0].own),
        "last": result.history[-1].block,
        "seconds": sum(seed.seconds for seed in result.seeds),
    }


def table(rows: dict[str, Row], sample: Sequence[str], searches: dict[str, FoundBlock]) -> str:
    """Every search's block beside the sample, in Markdown."""
    lines = [
        "| search / seed | block | test top-1 INT8 | ms | better at no more latency | better in all | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in searches.items():
        row, (better, compared) = rows[found["block"]], standing(rows, found["block"], sample)
        beaten = sum(rows[code].top1 > row.top1 for code in sample)
        lines.append(
            f"| {name} | {found['block']} | {row.top1:.4f} | {row.ms:.4f} | {better} of {compared} "
            f"| {beaten} of {len(sample)} | {found['seconds']:.0f} |"
        )
    accuracies = sorted((rows[code].top1 for code in sample), reverse=True)
    chance = statistics.mean(reached(*standing(rows, code, sample)) for code in sample)
    hits = sum(reached(*standing(rows, found["block"], sample)) for found in searches.values())
    lines += [
        "",
        f"sample of {len(sample)}: best {accuracies[0]:.4f}, median {statistics.median(accuracies):.4f}, "
        f"worst {accuracies[-1]:.4f}",
        f"in the best tenth at no more latency, of {ENOUGH} rivals at least: {hits} of {len(searches)} searches, "
        f"{chance:.0%} of the sample",
    ]
    return "\n".join(lines)


def noise(truth: Truth) -> str:
    """How far training seeds agree with each other, and one half of the measuring sessions with the other."""
    half = SESSIONS // 2
    pairs = {
        "top-1 of two training seeds": [row["top1"][:2] for row in truth.raw.values() if len(row["top1"]) > 1],
        "latency measured twice": [[min(row["ms"][:half]), min(row["ms"][half:])] for row in truth.raw.values()],
    }
    lines = []
    for what, values in pairs.items():
        if len(values) > 2:
            rank = spearmanr(*zip(*values, strict=True)).statistic
            off = statistics.median(abs(a - b) / (a + b) * 2 for a, b in values)
            lines.append(f"{what}: rank correlation {rank:.2f}, median difference {off:.1%}, {len(values)} blocks")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=Path("runs/block-search"))
    parser.add_argument("--sample", type=int, default=50, help="random blocks beside the published ones")
    parser.add_argument("--seeds", type=int, default=3, help="searches per method")
    parser.add_argument("--repeats", type=int, default=2, help="trainings per block")
    parser.add_argument("--method", action="append", choices=list(METHODS), help="all of them by default")
    parser.add_argument("--measure", action="store_true", help="measure all latencies again, and print the table anew")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    args = parser.parse_args()
    if "=" in str(args.out):
        parser.error(f"{args.out}: the folder comes before KEY=VALUE")
    args.out.mkdir(parents=True, exist_ok=True)
    config = compose_config(args.overrides)
    data = load(config.data, pick_device(config.device))
    measure = partial(measure_nets, config.latency, config.quant)
    truth = Truth(args.out / "truth.json", config, data, measure)
    sample = list(map(block_code, sampled_blocks(BlockSpace(config.space.block), args.sample)))
    path = args.out / "searches.json"
    searches: dict[str, FoundBlock] = json.loads(path.read_text()) if path.exists() else {}
    if not args.measure:
        truth.train(sample, 1)
        for method in args.method or METHODS:
            for seed in range(args.seeds):
                name = f"{method} / {seed}"
                if name not in searches:
                    one = compose_config([*args.overrides, *METHODS[method], f"seed={seed}"])
                    folder = args.out / name.replace(" / ", "-").replace(" ", "-")
                    searches[name] = search(one, data, measure, folder)
                    path.write_text(json.dumps(searches, indent=1))
        truth.train([*sample, *(found["block"] for found in searches.values())], args.repeats)
    truth.time(again=args.measure)
    rows = truth.rows()
    text = f"{table(rows, [code for code in sample if code in rows], searches)}\n{noise(truth)}\n"
    (args.out / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
