"""Peak memory of the commands against the number of images, of workloads and of candidates.

    python benchmarks/growth.py [images] [workloads] [candidates] [--small]

Each number is the most that the main process of a command held, in MB, and its wall time. Images: one epoch of training
over an image folder that is streamed (`data.in_memory_mb=0`), of files of 32 x 32 pixels. Workloads: `profile-latency`
over spaces of more and more widths. Candidates: `search-net` that scores more and more networks with one supernet.
Writes its rows into benchmarks/results/growth.csv, over those of the same axis, and prints them. `--small` takes two
small sizes of each axis and writes nothing: it shows that the script works.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

RESULTS = Path(__file__).parent / "results" / "growth.csv"
IMAGES, WIDTHS, GENERATIONS = (500, 2000, 5000, 10_000, 20_000), (1, 2, 4, 8), (1, 4, 16, 64)
CLASSES, SIDE, FILES = 10, 32, 200
QUICK = ["data.image_size=16", "latency.rounds=2", "latency.round_ms=0.1", "latency.fit_networks=4"]
QUICK += ["latency.held_out_networks=2", "search_net.float_epochs=0", "search_net.epochs=1"]
SPACE = [
    "space.network.widths=[16,32]",
    "space.network.depths=[2,2]",
    "space.network.strides=[2,2]",
    "space.network.head_channels=64",
]


@dataclass(frozen=True)
class Row:
    """One command at one size."""

    axis: str
    size: int
    peak_mb: float
    seconds: float


def peak_of(*words: str) -> tuple[float, float]:
    """Peak memory in MB and seconds of a command that must succeed; loader processes and the agent are not in it."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "frostnas", *words, "-q"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # so that its destructor does not wait for it again
    if process.returncode:
        raise SystemExit(f"frostnas {' '.join(words)}: exit status {process.returncode}")
    return usage.ru_maxrss / 1024, time.monotonic() - start


def write_images(folder: Path, count: int) -> None:
    """``count`` files in class folders, by links to a few different ones."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / str(number % CLASSES) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < FILES:
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path)
        else:
            os.link(folder / str(number % FILES % CLASSES) / f"{number % FILES}.png", path)


def of_images(folder: Path, small: bool) -> Iterator[Row]:
    for count in (200, 400) if small else IMAGES:
        root = folder / f"images-{count}"
        write_images(root, count)
        words = ["data=imagefolder", f"data.root={root}", f"data.image_size={SIDE}", "data.in_memory_mb=0"]
        words += ["net=frostnet_small_0_35", "train.float_epochs=0", "train.epochs=1", "train.frozen_epochs=0"]
        yield Row("images", count, *peak_of("train", f"run_dir={folder / f'train-{count}'}", *words))


def of_workloads(folder: Path, small: bool) -> Iterator[Row]:
    for count in WIDTHS[:2] if small else WIDTHS:
        run = folder / f"profile-{count}"
        factors = ",".join(str((1 + at) / 2) for at in range(count))
        peak = peak_of("profile-latency", f"run_dir={run}", *QUICK, *SPACE, f"space.network.width_factors=[{factors}]")
        with (run / "latency.csv").open(newline="") as file:
            yield Row("workloads", len(list(csv.DictReader(file))), *peak)


def of_candidates(folder: Path, small: bool) -> Iterator[Row]:
    first = folder / "profiled"
    peak_of("profile-latency", f"run_dir={first}", *QUICK, *SPACE)
    for generations in GENERATIONS[:2] if small else GENERATIONS:
        run = folder / f"search-{generations}"
        words = [f"table={first / 'latency.json'}", "search_net.population=8", f"search_net.generations={generations}"]
        peak = peak_of("search-net", f"run_dir={run}", *QUICK, *SPACE, *words)
        yield Row("candidates", json.loads((run / "net.json").read_bytes())["data"]["evaluated"], *peak)


AXES: dict[str, Callable[[Path, bool], Iterator[Row]]] = {
    "images": of_images,
    "workloads": of_workloads,
    "candidates": of_candidates,
}


def store(rows: list[Row]) -> None:
    """Write rows over those of the same axes."""
    kept: list[dict[str, str]] = []
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if row["axis"] not in {row.axis for row in rows}]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [item.name for item in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        writer.writerows(asdict(row) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=", ".join(AXES))
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        for axis in options.axes or AXES:
            for row in AXES[axis](Path(folder), options.small):
                print(f"{row.axis:<12}{row.size:>8}{row.peak_mb:>8.0f} MB{row.seconds:>8.1f} s", flush=True)
                rows.append(row)
    if not options.small:
        store(rows)


if __name__ == "__main__":
    main()
