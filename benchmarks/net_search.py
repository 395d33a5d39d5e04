"""How far the network search can be trusted, in three parts; what is done is kept in OUT and not done again.

    python benchmarks/net_search.py runs/tau tau --seeds 1 --networks 24 --repeats 2
    python benchmarks/net_search.py runs/strategies strategies --seeds 3
    python benchmarks/net_search.py runs/strategies step

tau: of a space of 320 networks some are trained alone, with several seeds. Kendall's tau between that and their scores
in the supernet; tau between two seeds alone, which no supernet can be expected to beat; and how many networks are
better than what each strategy picks when every network fits the budget.
strategies: in the configured space each strategy's pick against random networks of the same latency window, after the
same final training.
step: the time of a supernet step over that of a fake-quantized step of the largest network alone.

Accuracies of networks trained alone are those of fake-quant evaluation, the exported arithmetic, on the test images.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock
from torch import nn
from torch.nn import functional

from frostnas import training
from frostnas.artifacts import BlockSpec, LatencyTable, Provenance, load_table, save, write_atomic, write_rows
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.data import Splits, batch_count, load
from frostnas.data.images import Batch
from frostnas.engine import Workspace, make_optimizer, pick_device, seed_all
from frostnas.latency import profile
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.quant.gradboost import GradBoost
from frostnas.search import net
from frostnas.search.net.loop import train
from frostnas.search.net.policy import UniformPaths
from frostnas.search.net.scoring import Scorer
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.task import make_task
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.arch import Arch, arch_name, parse_arch
from frostnas.search.spaces.network import NetworkSpace

SMALL = [
    "data=hard_digits",
    "data.image_size=16",
    "data.test_fraction=0.4",
    "space.network.stem_channels=8",
    "space.network.first_channels=8",
    "space.network.widths=[16,32]",
    "space.network.depths=[2,1]",
    "space.network.strides=[2,2]",
    "space.network.expands=[1,6]",
    "space.network.squeezes=[4]",
    "space.network.width_factors=[0.5,1.0]",
    "space.network.head_channels=64",
    "train.batch_size=64",
    "train.float_epochs=2",
    "train.epochs=12",
    "train.frozen_epochs=1",
    "train.optim.lr=0.1",
    "search_net.float_epochs=6",
    "search_net.epochs=24",
    "budget.latency_ms=1000",
]
STRATEGIES = ("evolution", "gradient", "reinforce", "random")
CHUNK = 8  # networks trained under one lock
Around = Callable[[], AbstractContextManager[Any]]


class Bench:
    """One part's data, space and table, and a JSON file of results by key."""

    def __init__(self, out: Path, overrides: list[str], around: Around) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.overrides, self.around = out, overrides, around
        self.config = compose_config(overrides)
        self.data: Splits = load(self.config.data, pick_device(self.config.device))
        images = self.data.format
        self.space = NetworkSpace(self.config.space.network, BlockSpec(), images.image_size, len(images.classes))
        self.done: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.table = self._table()

    @property
    def _file(self) -> Path:
        return self.out / "results.json"

    def once(self, key: str, compute: Callable[[], Any]) -> Any:
        """The result of ``key``, computed if it is not there yet."""
        if key not in self.done:
            with self.around():
                self.done[key] = compute()
            write_atomic(self._file, json.dumps(self.done, indent=1).encode())
            print(key, self.done[key], flush=True)
        return self.done[key]

    def _table(self) -> LatencyTable:
        path = self.out / "latency.json"
        if not path.exists():
            with self.around(), Workspace.open(self.out / "profile", quiet=True) as workspace:
                table = profile.run(self.config, self.space.workloads(), self.space.sample, workspace)
            digest = write_rows(path.with_suffix(".csv"), table.rows)
            table = LatencyTable(**{**vars(table), "rows": (), "csv_sha256": digest})
            save(path, table, Provenance())
        return load_table(path)

    def trained(self, name: str, seed: int = 0) -> float:
        """Test top-1 of a network trained alone."""
        return float(self.once(f"alone {seed} {name}", lambda: self._train(name, seed)))

    def _train(self, name: str, seed: int) -> float:
        config = compose_config([*self.overrides, f"seed={seed}"])
        with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
            result, _ = training.run(config, self.data, self.space.decode(parse_arch(name)), workspace)
        return result.fake_quant.test

    def searched(self, strategy: str, seed: int, *more: str) -> dict[str, Any]:
        """The pick of a strategy, the time it took, and every network that it scored."""
        overrides = [*self.overrides, f"search_net={strategy}", f"seed={seed}", *more]

        def search() -> dict[str, Any]:
            config: Config = compose_config(overrides)
            with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
                result, rows = net.run(config, self.data, BlockSpec(), self.table, workspace)
            return {
                "pick": result.net.name,
                "predicted_ms": result.predicted_ms,
                "seconds": result.seconds,
                "scores": {row.network: row.top1 for row in rows},
            }

        found = self.once(" ".join(["search", strategy, str(seed), *more]), search)
        assert isinstance(found, dict)
        return found


def tau(bench: Bench, seeds: int, networks: int, repeats: int) -> None:
    """Does the supernet rank as training alone does, as far as training alone agrees with itself?"""
    names = sorted(map(arch_name, bench.space))
    names = sorted(random.Random(0).sample(names, min(networks, len(names))))
    alone = pd.DataFrame({0: _alone(bench, names, 0)})
    print(f"{len(names)} of {bench.space.count()} networks, {len(bench.data.test)} test images", flush=True)
    supernets = {variant: _ranked(bench, names, 0, variant) for variant in VARIANTS}
    for repeat in range(1, repeats):
        alone[repeat] = _alone(bench, names, repeat)
    truth = alone.mean(axis=1)
    print(alone.describe().to_string(float_format="{:.4f}".format))
    print("tau between seeds alone:", alone.corr(method="kendall").round(2).to_numpy().tolist(), flush=True)
    for variant, scores in supernets.items():
        kendall = scores.corr(truth, method="kendall")
        print(f"{variant or 'defaults'}: tau {kendall:.2f}; {scores.min():.4f} to {scores.max():.4f}", flush=True)
    few = ["search_net.population=8", "search_net.generations=3", "search_net.front_networks=0"]
    for seed in range(seeds):
        for strategy in STRATEGIES:
            pick = bench.searched(strategy, seed, *few)["pick"]
            top1 = statistics.mean(bench.trained(pick, repeat) for repeat in range(repeats))
            better = int((truth > top1).sum())
            print(f"seed {seed}, {strategy}: top-1 alone {top1:.4f}, {better} of {len(truth)} are better", flush=True)


VARIANTS = ("", "search_net.share_weights=false", "search_net.epochs=72")


def _alone(bench: Bench, names: list[str], seed: int) -> pd.Series:
    for start in range(0, len(names), CHUNK):
        with bench.around():
            for name in names[start : start + CHUNK]:
                bench.trained(name, seed)
    return pd.Series({name: bench.trained(name, seed) for name in names})


def _ranked(bench: Bench, names: list[str], seed: int, variant: str) -> pd.Series:
    """Validation top-1 of ``names`` in one supernet that was trained with uniform paths."""
    config = compose_config([*bench.overrides, f"seed={seed}", *variant.split()])

    def rank() -> dict[str, float]:
        seed_all(seed)
        search = config.search_net
        model = Supernet(bench.space, Scheme(), share_weights=search.share_weights)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps = batch_count(len(bench.data.train), search.batch_size, shuffled=True)
        trainer = SupernetTrainer(model, UniformPaths(bench.space, seed), config, steps)
        with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
            train(trainer, bench.data, workspace, "")
        score = Scorer(model, bench.data, search.batch_size, search.recalibration_batches, seed)
        return {name: score(parse_arch(name)).top1 for name in names}

    return pd.Series(bench.once(f"supernet {seed} {variant}", rank))


def strategies(bench: Bench, seeds: int, networks: int) -> None:
    """Is a pick better than random networks of its latency?"""
    task = make_task(bench.config.budget, bench.space, bench.table, bench.config.search_net.population)
    rng, window = random.Random(0), task.window()
    others = [bench.trained(arch_name(task.draw(window, rng))) for _ in range(networks)]
    print(f"{networks} random networks of {task.floor_ms:.3f} to {task.budget_ms:.3f} ms: mean "
          f"{statistics.mean(others):.4f}, best {max(others):.4f}")  # fmt: skip
    for strategy in STRATEGIES:
        found = [bench.searched(strategy, seed) for seed in range(seeds)]
        top1 = [bench.trained(one["pick"]) for one in found]
        seconds = statistics.mean(one["seconds"] for one in found)
        print(f"{strategy}: {' '.join(f'{value:.4f}' for value in top1)}, mean {statistics.mean(top1):.4f}, "
              f"{seconds:.0f} s a search", flush=True)  # fmt: skip


def step(bench: Bench, rounds: int = 15) -> None:
    """What does choosing among all candidates cost a training step?"""
    model = Supernet(bench.space, Scheme()).to(memory_format=torch.channels_last)
    slowest = bench.space.slowest(bench.table)[0]
    alone = Net(bench.space.decode(slowest), Scheme()).to(memory_format=torch.channels_last)
    batch = next(iter(bench.data.train.batches(bench.config.search_net.batch_size)))
    steps: dict[str, Callable[[], None]] = {}
    for name, net_, paths in (
        ("alone", alone, None),
        ("largest path", model, [slowest]),
        ("uniform paths", model, None),
    ):
        steps[name] = _stepper(bench, net_, paths, batch)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):  # interleaved, so that a slow moment of the machine hits all
        for name, run in steps.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[2:]) for name, values in times.items()}
    for name, seconds in medians.items():
        print(f"{name}: {1000 * seconds:.1f} ms a step, {seconds / medians['alone']:.2f} of the largest network alone")


def _stepper(bench: Bench, model: nn.Module, paths: Sequence[Arch] | None, batch: Batch) -> Callable[[], None]:
    """One fake-quantized optimizer step with GradBoost; of uniformly drawn paths where ``paths`` is None."""
    optimizer = make_optimizer(model, bench.config.search_net.optim)
    boost = GradBoost(model.parameters(), bench.config.quant.gradboost, 0)
    boost.attach(optimizer)
    boost.boost()
    set_state(model, QuantState.FAKE)
    model.train()
    rng = random.Random(0)

    def run() -> None:
        path = () if isinstance(model, Net) else ((paths[0] if paths else bench.space.draw(rng)),)
        functional.cross_entropy(model(batch[0], *path), batch[1]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("part", choices=["tau", "strategies", "step"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", type=int, default=64, help="networks trained alone, drawn at random")
    parser.add_argument("--repeats", type=int, default=2, help="tau: seeds of each network trained alone")
    parser.add_argument("--lock", type=Path, help="a file that is locked for the length of each piece of work")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()

    lock = FileLock(given.lock) if given.lock else None

    def around() -> AbstractContextManager[Any]:
        return lock.acquire(poll_interval=0.002) if lock is not None else nullcontext()

    bench = Bench(given.out, [*(SMALL if given.part == "tau" else []), *given.overrides], around)
    if given.part == "tau":
        tau(bench, given.seeds, given.networks, given.repeats)
    elif given.part == "step":
        with around():
            step(bench)
    else:
        strategies(bench, given.seeds, given.networks)


if __name__ == "__main__":
    main()
