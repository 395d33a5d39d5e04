"""What the parts of a supernet's adaptation are worth: which networks its steps train, and a teacher.

    python benchmarks/adaptation.py OUT --photos FOLDER --parent RUN [--sizes 48 64 80] [--budget 1.0] [--networks 6]
        [--ways WAY ...] [KEY=VALUE ...]

FOLDER holds train/CLASS and test/CLASS, as `transfer.py` makes them (OUT/photos there); RUN is a training of
EfficientNet-Lite0 on them (its cell default-64-0, say). A way trains the supernet of that parent; what it is worth is
the mean accuracy on the test half of the same random networks of the budget, as a search scores them:

- `inherited`: the parent's parts as they are;
- `sandwich`: the largest network and a random one in every step, taught by the parent;
- `uniform`: a random network in every step, taught;
- `near`: one of 0.6 to 1 of the budget's latency, taught;
- `near-views`: that, by a teacher who is asked once about each of `search_net.distill.views` views of a picture;
- `near-labels`: that, without the teacher;
- `near-labels-unsorted`: that, with the parent's channels in the order that training left them in; to be read with
  parent.expands=[1.0,0.5], say.

Settings of epochs are those of `sandwich`; the ways after it train for its minutes, as many more epochs as their steps
are shorter. Cells are kept in OUT/cells.json and not made again.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean

from elastic import Bench, common
from frostnas.artifacts import write_atomic
from frostnas.config import BudgetConfig, Config
from frostnas.config.compose import compose_config
from frostnas.data.images import Batch
from frostnas.data.views import Views
from frostnas.engine import Workspace, seed_all
from frostnas.nets import Net
from frostnas.quant import QuantState, set_state
from frostnas.search.net.loop import Work, train
from frostnas.search.net.policy import NearPaths, Policy, Sandwich, UniformPaths
from frostnas.search.net.scoring import Scorer
from frostnas.search.net.strategies import several
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.task import make_task
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.arch import arch_name

WAYS = ("inherited", "sandwich", "uniform", "near", "near-views", "near-labels", "near-labels-unsorted")
TIMED = 10  # steps of a kind
NEAR = 0.6  # of the budget: the fastest networks that `near` draws


@dataclass(frozen=True, slots=True)
class Cell:
    """One supernet after its training."""

    way: str
    seed: int
    float_epochs: int
    epochs: int
    minutes: float
    tests: dict[str, float]
    """Network -> top-1 on the test half, as a fraction."""
    losses: dict[str, float]


class Adaptation:
    """Supernets of one parent."""

    def __init__(self, bench: Bench, budget_ms: float) -> None:
        self.bench, self.work = bench, bench.asking
        self.task = make_task(BudgetConfig(latency_ms=budget_ms), bench.space, bench.table, 32)

    def of(self, way: str) -> tuple[Work, Policy]:
        space, seed = self.bench.space, self.work.recipe.seed
        if way.startswith("near"):
            policy: Policy = NearPaths([self.task], NEAR, seed)
        else:
            policy = UniformPaths(space, seed) if way == "uniform" else Sandwich(space, seed, 1)
        work = self.bench.work if way == "near-views" else self.work
        if way.endswith("unsorted"):
            work = replace(work, parent=self.unsorted())
        return (replace(work, lesson=None) if "labels" in way else work), policy

    def unsorted(self) -> Net:
        session = self.bench.session
        assert session.parent is not None
        classes = len(session.data.format.classes)
        net, _ = session.parent.live(classes, session.parent_size, self.work.recipe.scheme)
        set_state(net, QuantState.FLOAT)
        return net

    def seconds(self, way: str) -> float:
        """CPU time of one step in every epoch of ``way``, with its batch."""
        work, policy = self.of(way)
        recipe = work.recipe
        trainer = work.trainer(work.fresh(self.bench.space, share_weights=True), policy)
        side = work.data.train.side if work.lesson else None
        batches = partial(work.data.train.batches, recipe.batch_size, seed=0, augment=True, size=side)
        floating, fake = (timed(trainer, epoch, batches()) for epoch in (0, recipe.float_epochs))
        return recipe.float_epochs * floating + recipe.epochs * fake

    def lesson_seconds(self, work: Work) -> float:
        """CPU time per step of an epoch that all views and what the teacher says of them take."""
        if not isinstance(work.data.train, Views):
            return 0.0
        start = time.process_time()
        batches = len(list(work.data.train.batches(work.recipe.batch_size, seed=0, augment=True)))
        return work.data.train.count * (time.process_time() - start) / batches

    def trained(self, way: str) -> tuple[Supernet, Work, float]:
        """The supernet and its minutes."""
        work, policy = self.of(way)
        supernet = work.fresh(self.bench.space, share_weights=True)
        if way == "inherited":
            return supernet, replace(work, recipe=replace(work.recipe, float_epochs=0, epochs=0)), 0.0
        if way != "sandwich":
            recipe, lesson = work.recipe, self.lesson_seconds(work)
            more = (self.seconds("sandwich") - lesson) / self.seconds(way)
            epochs = {"float_epochs": round(more * recipe.float_epochs), "epochs": round(more * recipe.epochs)}
            work = replace(work, recipe=replace(recipe, **epochs))
        place = replace(self.bench.workspace, run_dir=self.bench.out / "trained" / f"{way}-{work.recipe.seed}")
        start = time.process_time()
        train(work.trainer(supernet, policy), work.data, place, way)
        return supernet, work, (time.process_time() - start) / 60

    def cell(self, way: str, networks: int) -> Cell:
        supernet, work, minutes = self.trained(way)
        data = replace(work.data, val=work.data.test)
        scorer = Scorer(supernet, data, work.recipe.batch_size, work.search.recalibration_batches, 0)
        archs = several(partial(self.task.draw, self.task.window(), random.Random(0)), networks, set())
        scores = {arch_name(arch): scorer(arch) for arch in archs}
        return Cell(
            way,
            work.recipe.seed,
            work.recipe.float_epochs,
            work.recipe.epochs,
            minutes,
            {name: score.top1 for name, score in scores.items()},
            {name: -score.negative_loss for name, score in scores.items()},
        )


def timed(trainer: SupernetTrainer, epoch: int, batches: Iterator[Batch]) -> float:
    """CPU time of a step of an epoch and its batch, of all but the first."""
    trainer.progress.epoch = epoch
    trainer.begin_epoch()
    trainer.step(*next(batches))
    start = time.process_time()
    for batch in islice(batches, TIMED):
        trainer.step(*batch)
        trainer.progress.step += 1
    return (time.process_time() - start) / TIMED


def table(cells: list[Cell]) -> str:
    """A row per way, as Markdown."""
    lines = ["| way | epochs | CPU minutes | mean test top-1 | least | most |", "|---|---|--:|--:|--:|--:|"]
    for cell in cells:
        tests = [100 * one for one in cell.tests.values()]
        figures = f"{mean(tests):.1f} | {min(tests):.1f} | {max(tests):.1f}"
        lines.append(f"| {cell.way} | {cell.float_epochs} + {cell.epochs} | {cell.minutes:.1f} | {figures} |")
    return "\n".join(lines) + "\n"


def config_of(given: argparse.Namespace, out: Path) -> Config:
    parent = (f"parent.net={given.parent.resolve()}", "parent.teaches=true", "data.val_fraction=0.1")
    near = "search_net.near=0"  # the ways say it
    return compose_config((*common(given.photos, given.sizes, out), *parent, near, *given.words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--parent", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[48, 64, 80])
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--budget", type=float, default=1.0, help="ms")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()
    out = given.out.resolve()
    config, file = config_of(given, out), out / "cells.json"
    with Workspace.open(out) as workspace:
        seed_all(config.seed)
        adaptation = Adaptation(Bench(out, config, workspace), given.budget)
        cells = [Cell(**one) for one in json.loads(file.read_text())] if file.exists() else []
        for way in given.ways:
            if any((one.way, one.seed) == (way, config.seed) for one in cells):
                continue
            cells.append(adaptation.cell(way, given.networks))
            write_atomic(file, json.dumps([asdict(one) for one in cells], indent=1).encode())
            print(f"{way}: {cells[-1].minutes:.1f} minutes, {mean(cells[-1].tests.values()):.4f}", flush=True)
    print(table(cells))


if __name__ == "__main__":
    main()
