"""How far the network search can be trusted, in three parts; what is done is kept in OUT and not done again.

    python benchmarks/net_search.py runs/tau tau
    python benchmarks/net_search.py runs/strategies strategies
    python benchmarks/net_search.py runs/strategies step

tau: every network of a space of 42 is trained alone, with several seeds. Kendall's tau between that and their scores in
the supernet; tau between two seeds alone, which no supernet can be expected to beat; and the rank of what each strategy
picks when every network fits the budget. VARIANTS are other ways to train the supernet, for the first seed.
strategies: in the space of `space=[block,network_small]` each strategy's pick against random networks of the same
latency window, after the same final trainings, alone and from the weights of the search; networks that share out the
supernet's epochs; and how the supernets rank the random networks.
step: the time of a supernet step over that of a fake-quantized step of the largest network alone.

Accuracies of networks trained alone are those of fake-quant evaluation, the exported arithmetic, on the test images.
Seconds are those of the CPU on one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock
from torch import nn
from torch.nn import functional

from frostnas.data.images import Batch
from frostnas.engine import keep_freed_memory, make_optimizer
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.quant.gradboost import GradBoost
from frostnas.search.net.supernet import Supernet
from frostnas.search.spaces.arch import Arch, arch_name
from net_search_bench import SHARING, Bench

TASK = [
    "data=hard_digits",
    "data.image_size=16",
    "data.test_fraction=0.4",
    "train.batch_size=64",
    "train.frozen_epochs=1",
    "train.optim.lr=0.1",
    "train.optim.clip_norm=null",  # the results here are older than clipping
    "search_net.float_epochs=2",
    "search_net.optim.lr=0.1",
    "search_net.front_networks=0",
    "search_net.population=8",
]
SMALL = [  # one stage of one or two layers
    *TASK,
    "space.network.stem_channels=8",
    "space.network.first_channels=8",
    "space.network.widths=[32]",
    "space.network.depths=[2]",
    "space.network.strides=[2]",
    "space.network.kernels=[3,5,7]",
    "space.network.expands=[3,6]",
    "space.network.squeezes=[4]",
    "space.network.head_channels=64",
    "train.float_epochs=2",
    "train.epochs=10",
    "search_net.epochs=38",
    "search_net.generations=3",
    "budget.latency_ms=1000",
]
FULL = [
    *TASK,
    "space=[block,network_small]",
    "space.network.stem_stride=2",
    "train.float_epochs=4",
    "train.epochs=20",
    "search_net.float_epochs=4",
    "search_net.epochs=76",
    "search_net.population=32",
    "search_net.generations=8",
]
LONG = ("train.float_epochs=8", "train.epochs=96")
"""A training for as many epochs as supernet and final training of `FULL` together."""
VARIANTS = (
    "search_net.epochs=12",
    "search_net.share_weights=false",
)


def tau(bench: Bench, seeds: int, repeats: int) -> None:
    """Does the supernet rank as training alone does, as far as training alone agrees with itself?"""
    names = sorted(map(arch_name, bench.space))
    alone = pd.DataFrame({seed: {name: bench.trained(name, seed) for name in names} for seed in range(repeats)})
    print(alone.describe().to_string(float_format="{:.4f}".format))
    print("tau between seeds alone:", alone.corr(method="kendall").round(2).to_numpy().tolist(), flush=True)
    truth = alone.mean(axis=1)
    ranks = truth.rank(ascending=False)
    for seed in range(seeds):
        found = bench.supernet(seed, "", names)
        print(f"seed {seed}: {_agreement(found, truth)}")
        picks = {**found["picks"], "gradient": bench.searched(seed, "search_net=gradient")}
        for strategy, one in picks.items():
            name = one["pick"]
            print(f"  {strategy} picks {name}: top-1 alone {truth[name]:.4f}, number {ranks[name]:.0f} of {len(ranks)}")
    for variant in VARIANTS:
        print(f"seed 0, {variant}: {_agreement(bench.supernet(0, variant, names), truth)}", flush=True)


def _agreement(found: dict[str, Any], truth: pd.Series) -> str:
    scores = pd.DataFrame(found["scores"], index=["top1", "negative_loss"]).T
    by_loss, by_top1 = (scores[key].corr(truth, method="kendall") for key in ("negative_loss", "top1"))
    return (
        f"tau {by_loss:.2f} by loss, {by_top1:.2f} by top-1; top-1 in the supernet {scores.top1.min():.3f} to "
        f"{scores.top1.max():.3f}; {found['train_seconds']:.0f} s to train, {found['score_seconds']:.2f} s a score"
    )


def strategies(bench: Bench, seeds: int, repeats: int, networks: int) -> None:
    """Is a pick better than random networks of its latency, trained alone, and trained on from the search's weights?"""
    task = bench.task
    rng, window = random.Random(0), task.window()
    names = [arch_name(task.draw(window, rng)) for _ in range(networks)]

    def trained(name: str) -> float:
        return statistics.mean(bench.trained(name, repeat) for repeat in range(repeats))

    others = pd.Series({name: trained(name) for name in names})
    print(f"{networks} random networks of {task.floor_ms:.3f} to {task.budget_ms:.3f} ms, alone: "
          f"{_spread(others)}", flush=True)  # fmt: skip
    found = {seed: _supernet(bench, seed, others)["picks"] for seed in range(seeds)}
    gradient = {seed: bench.searched(seed, "search_net=gradient") for seed in range(seeds)}
    for strategy in SHARING:
        picks = [found[seed][strategy]["pick"] for seed in range(seeds)]
        on = [bench.inherited(pick, seed) for seed, pick in enumerate(picks)]
        print(f"{strategy}: alone {_listed(map(trained, picks))}; from the supernet {_listed(on)}", flush=True)
    alone = _listed(trained(gradient[seed]["pick"]) for seed in range(seeds))
    print(f"gradient: alone {alone}; from the supernet {_listed(one['inherited'] for one in gradient.values())}")
    for seed in range(seeds):
        some = pd.Series({name: bench.inherited(name, seed) for name in names})
        print(f"the random networks from supernet {seed}: {_spread(some)}", flush=True)
    for share in ("1", "4"):
        searches = [bench.searched(seed, "search_net=random", f"search_net.alone={share}") for seed in range(seeds)]
        print(f"search_net.alone={share}: {_listed(one['inherited'] for one in searches)}", flush=True)
    longer = _listed(bench.trained(name, 0, *LONG) for name in names[:seeds])
    print(f"random networks trained alone as long as search and training together: {longer}", flush=True)
    everything = {*names, *(one["pick"] for picks in (*found.values(), gradient) for one in picks.values())}
    print("measured, ms:", pd.Series(bench.latencies(sorted(everything))).describe().to_string())


def _spread(top1: pd.Series) -> str:
    return f"mean {top1.mean():.4f}, {top1.min():.4f} to {top1.max():.4f}"


def _listed(top1: Iterable[float]) -> str:
    values = list(top1)
    return f"{' '.join(f'{value:.4f}' for value in values)}, mean {statistics.mean(values):.4f}"


def _supernet(bench: Bench, seed: int, others: pd.Series) -> dict[str, Any]:
    found = bench.supernet(seed, "", list(others.index))
    some = {**found, "scores": {name: found["scores"][name] for name in others.index}}
    print(f"seed {seed}, of the random networks: {_agreement(some, others)}", flush=True)
    return found


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
    parser.add_argument("--networks", type=int, default=10, help="strategies: random networks to compare with")
    parser.add_argument("--repeats", type=int, default=2, help="seeds that each network is trained alone with")
    parser.add_argument("--lock", type=Path, help="a file that is locked for the length of each piece of work")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()
    keep_freed_memory()

    lock = FileLock(given.lock) if given.lock else None

    def around() -> AbstractContextManager[Any]:
        return lock.acquire(poll_interval=0.002) if lock is not None else nullcontext()

    setting = {"tau": SMALL, "strategies": FULL, "step": []}[given.part]
    bench = Bench(given.out, [*setting, *given.overrides], around)
    if given.part == "tau":
        tau(bench, given.seeds, given.repeats)
    elif given.part == "step":
        with around():
            step(bench)
    else:
        strategies(bench, given.seeds, given.repeats, given.networks)


if __name__ == "__main__":
    main()
