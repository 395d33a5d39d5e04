"""Is a searched network better than named ones that are no faster? Runs the commands that a user would.

    python benchmarks/against_zoo.py OUT [--seeds 3] [--part zoo|search] \\
        experiment=imagefolder data.root=photos data.image_size=32 budget.latency_ms=0.145 ...

Every named network is trained with `frostnas train net=` for as many epochs as supernet and training of a search
have together; `frostnas run` searches within the budget. Accuracies are those of the exported INT8 files on the test
split, latencies are measured in turns at the end. Each command has its run directory below OUT, which it resumes; the
table goes to OUT/table.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frostnas.artifacts import ExportReport, TrainResult, load, write_atomic
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.latency.nets import measure_nets

ZOO = ("frostnet_small_0_5", "mobilenet_v3_small_1_0", "mobilenet_v2_1_0")


@dataclass(frozen=True)
class Run:
    """A run directory that has been trained and exported."""

    name: str
    folder: Path

    @property
    def train(self) -> TrainResult:
        return load(self.folder / "train.json", TrainResult).value

    @property
    def test(self) -> float:
        """Top-1 of the INT8 file on the test split."""
        return load(self.folder / "export.json", ExportReport).value.int8.top1


def frostnas(folder: Path, *words: str) -> None:
    """Run one command in its run directory; its output goes to the log beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.txt").open("a") as log:
        command = [sys.executable, "-m", "frostnas", *words, f"run_dir={folder}"]
        subprocess.run(command, check=True, stdout=log, stderr=log)
    print(f"done: {' '.join(words[:1])} {folder.name}", flush=True)


def named(out: Path, names: Sequence[str], words: Sequence[str], config: Config) -> list[Run]:
    """Networks of the zoo, each trained alone."""
    floats = config.search_net.float_epochs + config.train.float_epochs
    epochs = (f"train.float_epochs={floats}", f"train.epochs={config.search_net.epochs + config.train.epochs}")
    runs = [Run(name, out / name) for name in names]
    for run in runs:
        for command in ("train", "export"):
            frostnas(run.folder, command, *words, *epochs, f"net={run.name}")
    return runs


def searched(out: Path, words: Sequence[str], seeds: int) -> list[Run]:
    runs = [Run(f"searched, seed {seed}", out / f"search-{seed}") for seed in range(seeds)]
    for seed, run in enumerate(runs):
        frostnas(run.folder, "run", *words, f"seed={seed}")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("words", nargs="+", help="settings of all commands")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--zoo", nargs="*", default=ZOO, help="names that `frostnas zoo` lists")
    parser.add_argument("--part", choices=["zoo", "search"], help="leave the other part to another process")
    given = parser.parse_intermixed_args()

    config = compose_config(given.words)
    runs = searched(given.out, given.words, given.seeds) if given.part != "zoo" else []
    runs += named(given.out, given.zoo, given.words, config) if given.part != "search" else []
    if given.part is not None:
        return
    times = measure_nets(config.latency, config.quant, [run.train.net for run in runs])
    lines = ["| network | validation | test | ms |", "|---|--:|--:|--:|"]
    for run, ms in zip(runs, times, strict=True):
        lines.append(f"| {run.name} | {run.train.fake_quant.val:.2%} | {run.test:.2%} | {ms:.3f} |")
    table = "\n".join(lines) + "\n"
    write_atomic(given.out / "table.md", table.encode())
    print(table)


if __name__ == "__main__":
    main()
