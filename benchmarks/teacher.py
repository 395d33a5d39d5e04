"""What a teacher that sees larger images is worth to a smaller network, at equal minutes.

    python benchmarks/teacher.py OUT --photos FOLDER --weights FILE --teacher RUN [--sizes 64 96] [--ways WAY ...]
        [--seeds 1] [--arch NAME] [--epochs 10] [KEY=VALUE ...]

FOLDER holds train/CLASS and test/CLASS, as `transfer.py` makes them (OUT/photos there), RUN is a training of
EfficientNet-Lite0 on them (its cell default-128-0, say), FILE are Lite0's ImageNet weights. The student is a network
cut out of Lite0 (NAME without its size, as a search prints it), from ImageNet weights, in floating point. At every
size:

- `labels`: --epochs on labels alone;
- `taught`: as many with the teacher, which sees the same pictures at its own size (train.distill.views of each);
- `as long`: on labels alone, for as many minutes as `taught`;
- `with its own`: on labels alone, for the minutes of `taught` and of the teacher's own training.

Cells are kept in OUT/cells.json and not made again. Accuracies are top-1 on the test half, in floating point.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean

from elastic import Bench, common
from frostnas import training
from frostnas.artifacts import TrainResult, load, write_atomic
from frostnas.config.compose import compose_config
from frostnas.engine import Recipe, Workspace, seed_all
from frostnas.pipeline.views import to_train
from frostnas.search.spaces.arch import parse_arch
from transfer import VAL_FRACTION

LABELS, TAUGHT, AS_LONG, WITH_ITS_OWN = "labels", "taught", "as long", "with its own"
WAYS = (LABELS, TAUGHT, AS_LONG, WITH_ITS_OWN)
SEARCHED = "24:k3e6r0|40:k5e6r0|80:k3e6r0,k3e6r0,k3e6r0|112:k5e6r0|192:k5e6r0|320:k3e6r0"
"""What a search found within the latency of the whole network at 64 pixels."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One student after its training."""

    way: str
    size: int
    seed: int
    epochs: int
    val: float
    test: float
    """Top-1 as fractions."""
    minutes: float


def student(bench: Bench, arch: str, way: str, size: int, seed: int, epochs: int) -> Cell:
    chosen = parse_arch(f"{size}px|{arch}")
    config = replace(bench.session.config, seed=seed)
    options = replace(config.train, float_epochs=epochs)
    folder = bench.out / "trained" / f"{way}-{size}-{seed}".replace(" ", "-")
    place, teacher = replace(bench.workspace, run_dir=folder), bench.teacher if way == TAUGHT else None
    data, teacher = to_train(bench.data(size, taught=way == TAUGHT), teacher, config, size)
    result, _ = training.run(
        replace(Recipe.of(config, "train"), float_epochs=epochs),
        options,
        data,
        bench.space.decode(chosen),
        place,
        "one",
        start=bench.kept(bench.of_parent().extract(chosen)),
        teacher=teacher,
    )
    return Cell(way, size, seed, epochs, result.fp32.val, result.fp32.test, result.seconds / 60)


def epochs_of(way: str, epochs: int, done: dict[str, Cell], teacher_minutes: float) -> int:
    """How long a way trains. Args: done: the first two ways at this size from this seed."""
    if way in (LABELS, TAUGHT):
        return epochs
    minutes = done[TAUGHT].minutes + (teacher_minutes if way == WITH_ITS_OWN else 0.0)
    return round(epochs * minutes / done[LABELS].minutes)


def table(cells: list[Cell]) -> str:
    """A row per size and way, as Markdown."""
    lines = ["| pixels | way | epochs | minutes | test top-1 | seeds |", "|---|---|---|---|---|---|"]
    for size, way in product(sorted({one.size for one in cells}), WAYS):
        own = [one for one in cells if (one.size, one.way) == (size, way)]
        if own:
            epochs, minutes, test = (mean(getattr(one, name) for one in own) for name in ("epochs", "minutes", "test"))
            lines.append(f"| {size} | {way} | {epochs:.0f} | {minutes:.1f} | {100 * test:.2f} | {len(own)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name in ("photos", "weights", "teacher"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96])
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS, help="the first two come first")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--arch", default=SEARCHED)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()
    out, file = given.out.resolve(), given.out.resolve() / "cells.json"
    own = (
        "train.epochs=0",
        "train.frozen_epochs=0",
        f"search_net.distill.teacher={given.teacher.resolve()}",
        f"data.val_fraction={VAL_FRACTION}",
        "parent.net=efficientnet_lite0",
        f"parent.weights={given.weights.resolve()}",
    )
    config = compose_config((*common(given.photos, given.sizes, out), *own, *given.words))
    teacher_minutes = load(given.teacher / "train.json", TrainResult).value.seconds / 60
    with Workspace.open(out) as workspace:
        seed_all(config.seed)
        bench = Bench(out, config, workspace)
        cells = [Cell(**one) for one in json.loads(file.read_text())] if file.exists() else []
        for seed, size, way in product(range(given.seeds), given.sizes, given.ways):
            done = {one.way: one for one in cells if (one.size, one.seed) == (size, seed)}
            if way in done:
                continue
            epochs = epochs_of(way, given.epochs, done, teacher_minutes)
            cells.append(student(bench, given.arch, way, size, seed, epochs))
            write_atomic(file, json.dumps([asdict(one) for one in cells], indent=1).encode())
            print(cells[-1], flush=True)
    print(f"the teacher's own training: {teacher_minutes:.1f} minutes\n\n{table(cells)}")


if __name__ == "__main__":
    main()
