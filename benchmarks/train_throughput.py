"""Images per second: training against a plain torch loop, and the loader at 224 x 224 against the training step.

    python benchmarks/train_throughput.py [training] [loader] [--rounds 5] [--steps 10] [--cpu-time]

FrostNet-Small 1.0. Training: 32 x 32 images in memory, batch 64, one thread. Loader: JPEGs of 500 x 375 as an image
folder, batch 32, against a QAT step on as many threads as there are CPUs, up to two. Variants take turns; medians over
the rounds, ratios within a round. Writes its rows into benchmarks/results/train_throughput.csv, over those of the same
clock and names, and prints the tables of docs/quantization.md.

`--cpu-time` is for a busy machine: images per second of processor time, loader processes' included, to which other work
adds little. It is what one free core would give; what several cores do at once it does not show.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from frostnas.config.compose import compose_config
from frostnas.data import Splits, load
from frostnas.engine import Recipe, Saver, Workspace, keep_freed_memory, make_optimizer
from frostnas.engine.progress import progress_bar
from frostnas.nets import Net, zoo_spec
from frostnas.training.stage import train_epoch
from frostnas.training.trainer import Trainer
from qat_peers import Parts, PlainNet

RESULTS = Path(__file__).parent / "results" / "train_throughput.csv"
NET, CPU = "frostnet_small_1_0", torch.device("cpu")
log = logging.getLogger("frostnas")
KEY = ["clock", "over", "variant"]
BATCH, LARGE_BATCH = 64, 32
PICTURES, PICTURE_SIZE, QUALITY = 240, (500, 375), 90
WARM_UP = 1  # rounds
AUGMENT = ("data.augment.shift=0.06", "data.augment.rotate=8", "data.augment.flip=true")
MANY = 10_000  # epochs: a phase that does not end here
QAT = ("train.float_epochs=0", f"train.epochs={MANY}")
PHASES = {
    "frostnas, FP32 training": (f"train.float_epochs={MANY}", "train.epochs=0"),
    "frostnas, floating-point phase before QAT": (f"train.float_epochs={MANY}", "train.epochs=1"),
    "frostnas, QAT phase": QAT,
}
PLAIN = {"plain loop, one random transform per batch": False, "plain loop, one per image": True}
LOADERS = {
    "in memory": (),
    "streamed, no worker": ("data.in_memory_mb=0", "data.workers=0"),
    "streamed, 1 worker": ("data.in_memory_mb=0", "data.workers=1"),
    "streamed, 2 workers": ("data.in_memory_mb=0", "data.workers=2"),
}
Work = Callable[[], int]
"""Goes through some images and says how many."""


def frostnas_epoch(overrides: tuple[str, ...], folder: Path, batch: int, data: Splits) -> Work:
    """Training epochs on ``data`` as stage 3 runs them, with its checks after each step, quiet.

    A turn is shorter than the time between two checkpoints, so none is written.
    """
    config = compose_config([*overrides, "train.frozen_epochs=0", f"train.batch_size={batch}"])
    spec = zoo_spec(NET, classes=len(data.format.classes), image_size=data.format.image_size)
    recipe = Recipe.of(config, "train")
    net = Net(spec, recipe.scheme).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(net, recipe, config.train, len(data.train) // batch, spec.head.classes)

    def work() -> int:
        with progress_bar(None, "", trainer.steps_per_epoch) as bar:
            train_epoch(trainer, data, bar, Saver(Workspace(folder, None, log), "train.pt", ""))
        trainer.progress.next_epoch()
        return len(data.train)

    return work


def plain_epoch(per_image: bool, images: Tensor, labels: Tensor, data: Splits) -> Work:
    """The loop one would write by hand: uint8 (N, 3, S, S) in memory, torchvision's transforms, the same optimizer."""
    net = PlainNet(Parts(), zoo_spec(NET, classes=len(data.format.classes), image_size=images.shape[-1]))
    net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    config = compose_config([]).train.optim
    optimizer = make_optimizer(net, config)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, MANY * len(labels) // BATCH)
    move = v2.Compose(
        [
            v2.RandomAffine(8, translate=(0.06, 0.06), interpolation=v2.InterpolationMode.BILINEAR),
            v2.RandomHorizontalFlip(),
        ]
    )
    scale = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(data.format.mean, data.format.std)])

    def work() -> int:
        loss_sum = hits = 0.0
        for where in torch.randperm(len(labels)).split(BATCH):
            chosen, wanted = images[where], labels[where]
            moved = torch.stack([move(one) for one in chosen]) if per_image else move(chosen)
            logits = net(scale(moved).contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, wanted)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if config.clip_norm is not None:
                nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            loss_sum += loss.item() * len(where)
            hits += (logits.argmax(1) == wanted).sum().item()
        return len(labels)

    return work


def cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended, as the loader's have after a pass."""
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


CLOCKS = {"wall": time.perf_counter, "cpu": cpu_seconds}


def take_turns(works: dict[str, Work], rounds: int, clock: Callable[[], float]) -> dict[str, np.ndarray]:
    """Images per second of each, by round."""
    speeds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(WARM_UP + rounds):
        for name, work in works.items():
            start = clock()
            images = work()
            if number >= WARM_UP:
                speeds[name].append(images / (clock() - start))
    return {name: np.array(values) for name, values in speeds.items()}


def row(name: str, speed: np.ndarray, base_name: str, base: np.ndarray) -> dict[str, object]:
    low, middle, high = np.percentile(speed / base, (25, 50, 75))
    figures = {"images_per_s": float(np.median(speed)), "ratio": middle, "ratio_p25": low, "ratio_p75": high}
    return {"variant": name, "over": base_name, **figures}


def training_rows(rounds: int, steps: int, clock: Callable[[], float], folder: Path) -> list[dict[str, object]]:
    """``steps`` training steps a turn, over those of either plain loop."""
    config = compose_config(["data=hard_digits", *AUGMENT]).data
    whole = load(config, CPU)
    train = whole.train.subset(torch.arange(steps * BATCH))
    data = replace(whole, train=train)
    works = {name: plain_epoch(per_image, train.pixels, train.labels, data) for name, per_image in PLAIN.items()}  # type: ignore[attr-defined]
    works |= {name: frostnas_epoch(phase, folder, BATCH, data) for name, phase in PHASES.items()}
    speeds = take_turns(works, rounds, clock)
    return [row(name, speed, base, speeds[base]) for base in PLAIN for name, speed in speeds.items()]


def write_pictures(root: Path) -> None:
    """Two class folders of JPEGs: smooth noise in colour over a gradient."""
    noise, (width, height) = np.random.default_rng(0), PICTURE_SIZE
    slope = np.linspace(0, 127, width, dtype=np.uint8)[None, :, None]
    for number in range(PICTURES):
        coarse = Image.fromarray(noise.integers(0, 128, (height // 8, width // 8, 3), np.uint8))
        smooth = np.asarray(coarse.resize(PICTURE_SIZE, Image.Resampling.BICUBIC)).clip(0, 127)
        path = root / f"class{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth + slope).save(path, quality=QUALITY)


def loader_rows(rounds: int, clock: Callable[[], float], folder: Path) -> list[dict[str, object]]:
    """One pass over the training images a turn, over QAT steps of one batch."""
    root = folder / "pictures"
    write_pictures(root)
    common = ["data=imagefolder", f"data.root={root}", "data.test_fraction=0.1", "data.val_fraction=0.1"]
    works: dict[str, Work] = {}
    for name, overrides in LOADERS.items():
        images = load(compose_config([*common, *overrides]).data, CPU).train
        works[name] = lambda images=images: sum(
            len(labels) for _, labels in images.batches(LARGE_BATCH, seed=0, augment=True)
        )
    loaded = load(compose_config(common).data, CPU)
    data = replace(loaded, train=loaded.train.subset(torch.arange(LARGE_BATCH)))
    step, counts = frostnas_epoch(QAT, folder, LARGE_BATCH, data), range(1, min(2, len(os.sched_getaffinity(0))) + 1)
    steps = {threads: f"QAT step, {threads} thread{'s' if threads > 1 else ''}" for threads in counts}
    works |= {name: lambda threads=threads: on_threads(threads, step) for threads, name in steps.items()}
    speeds = take_turns(works, rounds, clock)
    return [row(name, speeds[name], base, speeds[base]) for base in steps.values() for name in (*LOADERS, base)]


def on_threads(threads: int, work: Work) -> int:
    torch.set_num_threads(threads)
    try:
        return work()
    finally:
        torch.set_num_threads(1)


def keep(table: pd.DataFrame) -> None:
    """Write the rows over those of the same key."""
    RESULTS.parent.mkdir(exist_ok=True)
    former = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame()
    pd.concat([former, table]).drop_duplicates(KEY, keep="last").to_csv(RESULTS, index=False)


def show(table: pd.DataFrame) -> None:
    for over, group in table.groupby("over", sort=False):
        print(f"| | images/s | over {over} (quartiles) |\n|---|---|---|")
        for one in group.itertuples():
            quartiles = f"{one.ratio:.2f} ({one.ratio_p25:.2f} to {one.ratio_p75:.2f})"
            print(f"| {one.variant} | {one.images_per_s:.0f} | {quartiles} |")
        print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help="training, loader; both unless given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="training steps of each variant in a round")
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of the clock on the wall")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command line does
    torch.set_num_threads(1)
    torch.manual_seed(0)
    name = "cpu" if arguments.cpu_time else "wall"
    parts = {
        "training": partial(training_rows, arguments.rounds, arguments.steps, CLOCKS[name]),
        "loader": partial(loader_rows, arguments.rounds, CLOCKS[name]),
    }
    for part in arguments.parts or parts:
        with tempfile.TemporaryDirectory() as folder:
            table = pd.DataFrame(parts[part](Path(folder))).assign(clock=name)
        keep(table)
        show(table)


if __name__ == "__main__":
    main()
