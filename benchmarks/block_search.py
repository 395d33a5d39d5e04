"""Where the found block stands among a random sample of its space, each block trained alone for one equal budget.

    python benchmarks/block_search.py runs/block-search data=hard_digits data.image_size=16 --sample 50 --seeds 3

Accuracy is that of fake-quant evaluation on the test images, which no search sees; latency is measured in INT8. What
is done is kept in OUT/truth.json and OUT/searches.json, and not done again.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from frostnas.artifacts import BlockSpec
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.data import Splits, load
from frostnas.engine import Workspace, pick_device
from frostnas.latency import measure_nets
from frostnas.nets import NAMED_BLOCKS
from frostnas.search.block import stage
from frostnas.search.block.compare import train_alone
from frostnas.search.block.costs import Measure
from frostnas.search.block.proxy import proxy_spec
from frostnas.search.spaces.block import KIND, BlockSpace, block_code, parse_block

METHODS = {
    "all paths, first order": [],
    "all paths, second order": ["search_block.order=2"],
    "sampled paths": ["search_block.paths=sampled"],
    "progressive": ["search_block.progressive=true"],
}
Table = dict[str, dict[str, Any]]


class Truth:
    """Block code -> test top-1 of the block trained alone, and latency; on disk."""

    def __init__(self, path: Path, config: Config, data: Splits, measure: Measure) -> None:
        self.path, self.config, self.data, self.measure = path, config, data, measure
        self.rows: Table = json.loads(path.read_text()) if path.exists() else {}

    def _spec(self, code: str) -> Any:
        images = self.data.format
        return proxy_spec(self.config.search_block.proxy, parse_block(code), images.image_size, len(images.classes))

    def add(self, blocks: list[BlockSpec], around: Callable[[], Any]) -> None:
        """Train what is missing; ``around`` gives a context manager that each training runs in."""
        held_out = replace(self.data, val=self.data.test)
        codes = list(dict.fromkeys(map(block_code, blocks)))
        for code in codes:
            if code not in self.rows:
                with around():
                    *_, scores = train_alone(self.config, self._spec(code), held_out)
                assert scores is not None
                self.rows[code] = {"int8": scores.top1_int8, "fp32": scores.top1_fp32}
                self._save()
        untimed = [code for code, row in self.rows.items() if "ms" not in row]
        if untimed:
            # All at once: latencies of one session compare.
            with around():
                for code, ms in zip(self.rows, self.measure([self._spec(code) for code in self.rows]), strict=True):
                    self.rows[code]["ms"] = ms
            self._save()

    def _save(self) -> None:
        self.path.write_text(json.dumps(self.rows, indent=1))

    def standing(self, code: str, sample: list[str]) -> tuple[int, int]:
        """Blocks of the sample at no more latency that are strictly more accurate, and how many are compared.

        Latencies within 3 % of each other are taken as equal: repeated measurements differ by as much.
        """
        mine = self.rows[code]
        rivals = [self.rows[other] for other in sample if other != code and self.rows[other]["ms"] <= 1.03 * mine["ms"]]
        return sum(rival["int8"] > mine["int8"] for rival in rivals), len(rivals)


def sampled_blocks(space: BlockSpace, count: int) -> list[BlockSpec]:
    """The published blocks and random ones."""
    named = [block for block in NAMED_BLOCKS.values() if block.kind == KIND]
    return [*named, *space.distinct(random.Random(0), count, tuple(named))]


def search(config: Config, data: Splits, measure: Measure, folder: Path) -> dict[str, Any]:
    """One run of the stage, without its comparison."""
    with Workspace.open(folder) as workspace:
        result = stage.search_only(config, data, measure, workspace)
    return {
        "block": block_code(result.block),
        "seconds": sum(seed.seconds for seed in result.seeds),
    }


def main() -> None:
    from contextlib import nullcontext

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=Path("runs/block-search"))
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--method", action="append", choices=list(METHODS), help="all of them by default")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    args = parser.parse_args()
    if "=" in str(args.out):
        parser.error(f"{args.out}: the folder comes before KEY=VALUE")
    run(args.out, args.sample, args.seeds, args.method or list(METHODS), args.overrides, nullcontext)


def run(
    out: Path, sample: int, seeds: int, methods: list[str], overrides: list[str], around: Callable[[], Any]
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    config = compose_config(overrides)
    data = load(config.data, pick_device(config.device))
    measure = partial(measure_nets, config.latency, config.quant)
    space = BlockSpace(config.space.block)
    truth = Truth(out / "truth.json", config, data, measure)
    blocks = sampled_blocks(space, sample)
    truth.add(blocks, around)
    path = out / "searches.json"
    searches: Table = json.loads(path.read_text()) if path.exists() else {}
    for method in methods:
        for seed in range(seeds):
            name = f"{method} / {seed}"
            if name not in searches:
                one = compose_config([*overrides, *METHODS[method], f"seed={seed}"])
                with around():
                    searches[name] = search(one, data, measure, out / name.replace(" / ", "-").replace(" ", "-"))
                path.write_text(json.dumps(searches, indent=1))
    truth.add([parse_block(found["block"]) for found in searches.values()], around)
    codes = list(map(block_code, blocks))
    print("| search / seed | block | test top-1 INT8 | ms | better at no more latency | s |\n|---|---|---|---|---|---|")
    for name, found in searches.items():
        row, (better, compared) = truth.rows[found["block"]], truth.standing(found["block"], codes)
        print(
            f"| {name} | {found['block']} | {row['int8']:.4f} | {row['ms']:.4f} | {better} of {compared} "
            f"| {found['seconds']:.0f} |"
        )
    accuracies = sorted((truth.rows[code]["int8"] for code in codes), reverse=True)
    print(f"sample of {len(codes)}: best {accuracies[0]:.4f}, median {accuracies[len(codes) // 2]:.4f}")


if __name__ == "__main__":
    main()
