"""Is a searched network better than one of the zoo that is no slower? What is done is kept in OUT and not done again.

    python benchmarks/against_zoo.py runs/zoo [--seeds 3] [--part search|zoo]

The budget is the measured latency of the slowest of `CANDIDATES`. Every search ends with its pick trained on from the
search's weights; every network of the zoo is trained for as many epochs as search and training have together, by the
same recipe. Test top-1 is that of fake-quant evaluation, the exported arithmetic; seconds are of CPU time on one
thread; latencies are measured in turns. Results go to OUT/results.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from frostnas import training
from frostnas.artifacts import NetSpec
from frostnas.config.compose import compose_config
from frostnas.data import load
from frostnas.engine import Workspace, keep_freed_memory, pick_device
from frostnas.latency.nets import measure_nets
from frostnas.nets import zoo_spec
from frostnas.search.spaces.arch import parse_arch
from net_search import FULL, LONG
from net_search_bench import Bench

SETTING = [*FULL, "data.image_size=32"]
CANDIDATES = (
    ("frostnet_small_0_5", 32),
    ("mobilenet_v3_small_1_0", 32),
    ("mobilenet_v2_1_0", 32),
    ("frostnet_small_0_35", 64),
)
"""Name in the zoo, and the size in pixels that the images are brought to."""
CLASSES = 10


def zoo_trained(bench: Bench, name: str, size: int) -> dict[str, Any]:
    """Test top-1 and CPU seconds of a network of the zoo."""

    def train() -> dict[str, Any]:
        config, start = compose_config([*SETTING, *LONG, f"data.image_size={size}"]), time.process_time()
        data = load(config.data, pick_device(config.device))
        with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
            result, _ = training.run(config, data, zoo_spec(name, CLASSES, size), workspace)
        return {"top1": result.fake_quant.test, "seconds": time.process_time() - start}

    return dict(bench.once(f"zoo {name} {size}", train))


def measured(bench: Bench, key: str, specs: list[NetSpec]) -> list[float]:
    """INT8 latencies in ms, kept under ``key``."""
    config = bench.config
    return list(bench.once(key, lambda: measure_nets(config.latency, config.quant, specs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=["search", "zoo"], help="leave the other part to another process")
    given = parser.parse_args()
    keep_freed_memory()

    bench = Bench(given.out, SETTING, nullcontext)
    zoo = [zoo_spec(name, CLASSES, size) for name, size in CANDIDATES]
    budget = f"budget.latency_ms={max(measured(bench, 'zoo latencies', zoo)):.4f}"
    if given.part != "zoo":
        found = [bench.searched(seed, "search_net=evolution", budget) for seed in range(given.seeds)]
    if given.part != "search":
        others = [zoo_trained(bench, name, size) for name, size in CANDIDATES]
    if given.part is not None:
        return
    picks = [bench.space.decode(parse_arch(one["pick"])) for one in found]
    ms = measured(bench, "all latencies", [*picks, *zoo])
    print("| network | test top-1 | measured, ms | seconds |\n|---|---|---|---|")
    for seed, (one, latency) in enumerate(zip(found, ms, strict=False)):
        print(f"| searched, seed {seed} | {one['inherited']:.4f} | {latency:.4f} | {one['seconds']:.0f} + training |")
    print(f"| mean | {statistics.mean(one['inherited'] for one in found):.4f} | | |")
    for (name, size), one, latency in zip(CANDIDATES, others, ms[len(picks) :], strict=True):
        print(f"| {name}, {size} pixels | {one['top1']:.4f} | {latency:.4f} | {one['seconds']:.0f} |")


if __name__ == "__main__":
    main()
