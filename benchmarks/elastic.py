"""A trained network cut to a budget: the search beside the ladder, a rule of thumb and random networks.

    python benchmarks/elastic.py OUT --photos FOLDER --parent RUN [--sizes 48 64 80] [--whole 64] [--shares 0.5]
        [--ways WAY ...] [--random 10] [--variance 0] [KEY=VALUE ...]

FOLDER holds train/CLASS and test/CLASS, as `transfer.py` makes them (OUT/photos there); RUN is a training of
EfficientNet-Lite0 on them in floating point (`frostnas train net=efficientnet_lite0 train=transfer train.epochs=0 …`).
One latency table (`table=` takes a finished one), one supernet from that parent, which also teaches it. For every share
of the whole parent's latency at the size `--whole`, left out: the largest, with the same training afterwards:

- `ladder`: the whole parent with the largest images that fit;
- `thumb`: without the last layer of every stage of three and the last two of four, with the largest images that fit;
- `thumb-long`: as that, for as many more floating-point epochs as the supernet has, three times over;
- `thin`: the parent at the size `--whole` with the first of every layer's hidden channels, the most that fit;
- `random`: networks drawn uniformly within the budget;
- `found`: the search's, with its finals;
- `untrained`: that, as the supernet has it.

With --variance N nothing is searched: N networks within 3% of one latency are drawn three times, with kernel and
expansion alone, with depth too, with the size of the images too, and trained with two seeds each; the spread of their
test accuracies says what there is to be found. With it belong parent.kernels=[3],
parent.expands=[1.0,0.5] and search_net.near=0.

Cells are kept in OUT/cells.json and not made again. Accuracies are top-1 on the test half in fake-quant, latencies
those of the table. Ways are taken in the order given. The supernet is for the budgets of all --shares together.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from statistics import mean, stdev

import torch
from safetensors.torch import save_file

from frostnas import training
from frostnas.artifacts import LatencyTable, NetSpec, div8, write_atomic
from frostnas.config import BudgetConfig, Config
from frostnas.config.compose import compose_config
from frostnas.data import Splits, load
from frostnas.engine import Recipe, Workspace, seed_all, weights_of
from frostnas.engine.distributed import World
from frostnas.nets import Net
from frostnas.pipeline.adaptation import adapted
from frostnas.pipeline.session import Session
from frostnas.pipeline.stages import PROFILE, TRAINING
from frostnas.pipeline.views import to_search, to_train
from frostnas.search.net.budget import Task
from frostnas.search.net.finals import hold_finals
from frostnas.search.net.inherit import inherit, part
from frostnas.search.net.loop import Work, train
from frostnas.search.net.policy import policy_of
from frostnas.search.net.strategies import evolution, several
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.task import make_task
from frostnas.search.spaces.arch import Arch, arch_name
from transfer_peer import SMALLEST_CROP

NEAR = 0.03  # of a latency
WAYS = ["ladder", "thumb", "thumb-long", "thin", "random", "found", "untrained"]
THINNER = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2)  # a `table=` has to hold them: parent.expands of its profiling


@dataclass(frozen=True, slots=True)
class Cell:
    """One network after its training."""

    way: str
    share: float
    """Budget, as a share of the parent's latency at the largest size."""
    seed: int
    network: str
    latency_ms: float
    val: float
    test: float
    """Top-1 as fractions."""
    minutes: float
    """Of its own training."""


class Bench:
    """One supernet of one parent, and what its networks are worth once they are trained.

    Attributes:
        work: the supernet's, as `search-net` does it.
        asking: the same, with a teacher who is asked in every step.
    """

    def __init__(self, out: Path, config: Config, workspace: Workspace) -> None:
        self.out, self.config, self.workspace = out, config, workspace
        self.session = Session(config, workspace)
        self.space = self.session.space
        parent, lesson = adapted(self.session, TRAINING)
        assert parent is not None
        recipe = Recipe.of(self.session.config, "search_net")
        data = self.session.data_to_search
        self.teacher = lesson.teacher if lesson else None
        self.asking = Work(recipe, config.search_net, data, workspace, "elastic", World(), lesson, parent)
        data, lesson = to_search(data, lesson, self.session.config)
        self.work = replace(self.asking, data=data, lesson=lesson)
        self.sized: dict[tuple[int, int], Splits] = {}

    @cached_property
    def table(self) -> LatencyTable:
        if self.config.table is None:
            PROFILE.run(self.session)
        return self.session.table

    def supernet(self, tasks: Sequence[Task]) -> Supernet:
        """The trained supernet; trained once. Args: tasks: whose networks it is for."""
        path, search = self.out / "supernet.pt", self.config.search_net
        supernet = self.work.fresh(self.space, share_weights=search.share_weights)
        if path.exists():
            supernet.load_state_dict(torch.load(path, weights_only=True))
            return supernet
        start = time.monotonic()
        trainer = self.work.trainer(supernet, policy_of(search, tasks, self.config.seed))
        train(trainer, self.work.data, self.workspace, "elastic")
        print(f"supernet: {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
        torch.save(supernet.state_dict(), path)
        return supernet

    def of_parent(self) -> Supernet:
        """The parent's weights in the supernet, as they were before it was trained."""
        supernet = self.work.fresh(self.space, share_weights=self.config.search_net.share_weights)
        assert self.work.parent is not None
        inherit(supernet, self.work.parent)
        return supernet

    def data(self, size: int, taught: bool) -> Splits:
        """Images of a size; with a teacher, who looks at its own, as large as that needs in training."""
        side = max(size, self.asking.data.train.side if taught else 0)
        if (size, side) not in self.sized:
            given = replace(self.session.config.data, image_size=size, train_size=side)
            self.sized[size, side] = load(given, self.session.device)
        return self.sized[size, side]

    def cell(self, way: str, share: float, seed: int, arch: Arch, supernet: Supernet, more_epochs: int = 0) -> Cell:
        """``arch`` trained by the recipe of `train` from its weights in ``supernet``."""
        weights = self.kept(supernet.extract(arch))
        return self.trained(way, share, seed, arch_name(arch), self.space.decode(arch), weights, more_epochs)

    def untrained(self, share: float, seed: int, arch: Arch, supernet: Supernet) -> Cell:
        """``arch`` with its weights in ``supernet``, its batch norm and ranges as the search estimates them."""
        top1 = self.work.scorer(supernet)(arch).top1
        tested = replace(self.work, data=replace(self.work.data, val=self.work.data.test)).scorer(supernet)
        latency_ms = self.table.predict_ms(self.space.decode(arch))
        return Cell("untrained", share, seed, arch_name(arch), latency_ms, top1, tested(arch).top1, 0.0)

    def kept(self, net: Net) -> Path:
        """A file of weights to start a training from, until the next one."""
        path = self.out / "start.safetensors"
        save_file(weights_of(net), path)
        return path

    def trained(
        self, way: str, share: float, seed: int, name: str, spec: NetSpec, weights: Path, more_epochs: int = 0
    ) -> Cell:
        """The network from ``weights`` by the recipe of `train`."""
        options = self.session.config.train
        options = replace(options, float_epochs=options.float_epochs + more_epochs)
        config = replace(self.session.config, seed=seed, train=options)
        folder = self.out / "trained" / f"{way}-{share}-{seed}-{name}".replace("|", "_")
        place = replace(self.workspace, run_dir=folder)
        data = self.data(spec.image_size, taught=self.teacher is not None)
        data, teacher = to_train(data, self.teacher, config, spec.image_size)
        recipe = replace(Recipe.of(config, "train"), head_epochs=0)
        result, _ = training.run(recipe, options, data, spec, place, "one", start=weights, teacher=teacher)
        top1, latency_ms = result.fake_quant, self.table.predict_ms(spec)
        return Cell(way, share, seed, name, latency_ms, top1.val, top1.test, result.seconds / 60)

    def thin(self, share: float, seed: int, budget_ms: float, size: int) -> Cell:
        """The parent with the widest layers, all by the same share, that fit ``budget_ms``."""
        assert self.work.parent is not None
        whole = self.space.decode(replace(self.space.largest, size=size))
        fitting = [made for one in THINNER if self.table.predict_ms(made := thinner(whole, one)) <= budget_ms]
        spec = fitting[0] if fitting else thinner(whole, THINNER[-1])  # then it is slower than the others
        net = Net(spec, Recipe.of(self.session.config, "train").scheme)
        net.load_state_dict(
            {name: part(self.work.parent.state_dict()[name], value.shape) for name, value in net.state_dict().items()}
        )
        return self.trained("thin", share, seed, spec.name, spec, self.kept(net))


def thinner(spec: NetSpec, share: float) -> NetSpec:
    """All hidden channels times ``share``, rounded to eights."""
    layers, channels = [], spec.stem.channels
    for layer in spec.layers:
        hidden = layer.hidden(channels)
        if layer.block.expand > 1:
            block = replace(layer.block, expand=max(8, div8(hidden * share)) * layer.block.expand / hidden)
            layer = replace(layer, block=block)
        layers.append(layer)
        channels = layer.out_channels
    return replace(spec, name=f"{spec.name} thinner {share:g}", layers=tuple(layers))


def cells(path: Path) -> list[Cell]:
    return [Cell(**one) for one in json.loads(path.read_text())] if path.exists() else []


def add(path: Path, way: str, share: float, seed: int, name: str | None, make: Callable[[], Cell]) -> None:
    """The cell of a network, made if it is not there; ``name`` None: the way has one network alone."""
    done = cells(path)
    if any((one.way, one.share, one.seed) == (way, share, seed) and name in (None, one.network) for one in done):
        return
    done.append(cell := make())
    write_atomic(path, json.dumps([asdict(one) for one in done], indent=1).encode())
    print(cell, flush=True)


def largest_that_fits(task: Task, arch: Arch) -> Arch | None:
    """``arch`` with the largest images within the budget."""
    sized = (replace(arch, size=size) for size in reversed(task.space.sizes))
    return next((one for one in sized if task.latency_ms(one) <= task.budget_ms), None)


def thumb(arch: Arch) -> Arch:
    """Without the last layer of every stage of three, and the last two of four."""
    kept = {3: 2, 4: 2}
    stages = (replace(stage, ops=stage.ops[: kept.get(len(stage.ops), len(stage.ops))]) for stage in arch.stages)
    return replace(arch, stages=tuple(stages))


def compare(bench: Bench, shares: list[float], count: int, whole: int, ways: list[str]) -> None:
    """Every way at every budget."""
    space, seed, path, search = bench.space, bench.config.seed, bench.out / "cells.json", bench.config.search_net
    whole_ms = bench.table.predict_ms(space.decode(replace(space.largest, size=whole)))
    budgets = [BudgetConfig(latency_ms=share * whole_ms) for share in shares]
    tasks = [make_task(budget, space, bench.table, search.population) for budget in budgets]
    supernet, start = bench.supernet(tasks), bench.of_parent()
    short = thumb(space.largest)
    longer = 3 * (search.float_epochs + search.epochs)
    fixed = {"ladder": (space.largest, 0), "thumb": (short, 0), "thumb-long": (short, longer)}
    for share, task in zip(shares, tasks, strict=True):
        pick = cache(partial(searched, bench, task, supernet))
        for way in ways:
            kept = partial(add, path, way, share, seed)
            if way in fixed:
                arch, more = fixed[way]
                if (fitting := largest_that_fits(task, arch)) is not None:
                    kept(arch_name(fitting), partial(bench.cell, way, share, seed, fitting, start, more))
            elif way == "thin":
                kept(None, partial(bench.thin, share, seed, task.budget_ms, whole))
            elif way == "found":
                kept(arch_name(pick()), partial(bench.cell, way, share, seed, pick(), supernet))
            elif way == "untrained":
                kept(arch_name(pick()), partial(bench.untrained, share, seed, pick(), supernet))
            else:
                for arch in several(partial(task.draw, task.window(), random.Random(seed)), count, set()):
                    kept(arch_name(arch), partial(bench.cell, way, share, seed, arch, supernet))


def searched(bench: Bench, task: Task, supernet: Supernet) -> Arch:
    """The network that `search-net` picks, with its finals."""
    scorer, search, began = bench.work.scorer(supernet), bench.config.search_net, time.monotonic()
    pick = evolution(task, lambda archs: [scorer(arch) for arch in archs], search, bench.config.seed)
    if search.finals:
        pick = hold_finals(bench.work, task, supernet, scorer.scores, pick)[0]
    print(f"search: {(time.monotonic() - began) / 60:.1f} minutes, {len(scorer.scores)} networks scored", flush=True)
    return pick.arch


def drawn(bench: Bench, task: Task, count: int, free: str) -> Iterator[Arch]:
    """Networks near the task's latency that have the free decisions of their own and the others of the parent."""
    rng, window, whole, found = random.Random(0), task.window(), bench.space.largest, set()
    middle = bench.space.sizes[len(bench.space.sizes) // 2]
    for _ in range(200_000):
        arch = task.draw(window, rng)
        deep = all(len(own.ops) == len(all_.ops) for own, all_ in zip(arch.stages, whole.stages, strict=True))
        if arch in found or (free != "size" and arch.size != middle) or (free == "kernel" and not deep):
            continue
        found.add(arch)
        yield arch
        if len(found) == count:
            return


def variance(bench: Bench, share: float, count: int) -> None:
    """The spread of networks of one latency, by what they may choose."""
    space, path = bench.space, bench.out / "cells.json"
    whole_ms = bench.table.predict_ms(space.decode(space.largest))
    task = make_task(BudgetConfig(latency_ms=share * whole_ms), space, bench.table, 1)
    task = replace(task, floor_ms=(1 - NEAR) * task.budget_ms)
    supernet = bench.supernet([task])
    for free in ("kernel", "depth", "size"):
        for arch in drawn(bench, task, count, free):
            for seed in (0, 1):
                add(path, free, share, seed, arch_name(arch), partial(bench.cell, free, share, seed, arch, supernet))
        own = [one for one in cells(path) if one.way == free and one.share == share]
        means = [mean(one.test for one in own if one.network == name) for name in {one.network for one in own}]
        pairs = [[one.test for one in own if one.network == name] for name in {one.network for one in own}]
        noise = mean(stdev(pair) for pair in pairs if len(pair) > 1)
        print(f"{free}: {len(means)} networks, spread {stdev(means):.4f}, of seeds {noise:.4f}", flush=True)


def table(done: list[Cell]) -> str:
    """A row per way and budget, as Markdown."""
    lines = ["| budget | way | networks | ms | test top-1 | best | minutes |", "|---|---|---|---|---|---|---|"]
    for share, way in sorted({(one.share, one.way) for one in done}):
        own = [one for one in done if (one.share, one.way) == (share, way)]
        tests = [100 * one.test for one in own]
        spread = f" ± {stdev(tests):.1f}" if len(tests) > 1 else ""
        figures = f"{mean(one.latency_ms for one in own):.3f} | {mean(tests):.1f}{spread} | {max(tests):.1f}"
        lines.append(f"| {share} | {way} | {len(own)} | {figures} | {mean(one.minutes for one in own):.1f} |")
    return "\n".join(lines) + "\n"


def common(photos: Path, sizes: Sequence[int], out: Path) -> tuple[str, ...]:
    """Settings of a network cut out of a trained one for images of ``sizes``, trained on ``photos`` by `transfer`."""
    return (
        "train=transfer",
        "search_net=elastic",
        "data=imagefolder",
        f"data.root={photos.resolve()}",
        "data.augment.scale=0",
        "data.augment.flip=true",
        f"data.augment.crop={SMALLEST_CROP}",
        "parent.epochs=0",
        f"space.resolutions={sizes}".replace(" ", ""),
        f"run_dir={out}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--parent", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[48, 64, 80])
    parser.add_argument("--whole", type=int, help="pixels, one of --sizes")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5])
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--random", type=int, default=10)
    parser.add_argument("--variance", type=int, default=0)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()
    out = given.out.resolve()
    own = ("train.max_ptq_loss=null", f"parent.net={given.parent.resolve()}")
    config = compose_config((*common(given.photos, given.sizes, out), *own, *given.words))
    with Workspace.open(out) as workspace:
        seed_all(config.seed)
        bench = Bench(out, config, workspace)
        if given.variance:
            for share in given.shares:
                variance(bench, share, given.variance)
        else:
            compare(bench, given.shares, given.random, given.whole or max(given.sizes), given.ways)
    print(table(cells(out / "cells.json")))


if __name__ == "__main__":
    main()
