"""Real commands in this process, on a small network and a few small images."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

import frostnas
from frostnas.artifacts import LayerSpec, NetResult, Provenance, StemSpec, save
from frostnas.cli import app
from tests.test_data_folder import write_images

CLASSES = ("blue", "green", "red")
NET = frostnas.NetSpec(
    "n",
    8,
    StemSpec(8, 1),
    (LayerSpec(frostnas.BlockSpec(expand=3), 16, 2),),
    frostnas.HeadSpec(16, classes=len(CLASSES), dropout=0.0),
)
SHORT = [
    "data.image_size=8",
    "train.batch_size=16",
    "train.float_epochs=1",
    "train.epochs=1",
    "train.frozen_epochs=0",
    "latency.rounds=2",
    "latency.round_ms=0.1",
    "export.min_agreement=0.5",
    "export.max_top1_drop=1",
]


def invoke(*words: object) -> Result:
    """A command with its words, in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words: object) -> str:
    """What a command prints that works."""
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: object) -> str:
    """The one line of a command that refuses its input."""
    result = invoke(*words)
    assert result.exit_code == 2, result.output
    return result.output.strip().splitlines()[-1]


def write_photos(folder: Path, each: int = 20) -> Path:
    """A folder per class."""
    for number, name in enumerate(CLASSES):
        write_images(folder / name, each, seed=number)
    return folder


def write_net(path: Path) -> Path:
    """A net.json of `NET`."""
    save(path, NetResult(NET, "random", 1.0, 1.0, "a CPU", 0.0, False, 1, 0, 0.0), Provenance())
    return path


def lines(path: Path) -> int:
    """How many it has; none where it is not there, which may be so at any moment of a stage that begins anew."""
    try:
        return path.read_text().count("\n")
    except FileNotFoundError:
        return 0


def interrupted(metrics: Path, rows: int, *words: object) -> None:
    """A command that gets a SIGINT as soon as ``metrics`` has more rows than that."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if lines(metrics) > rows:
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = invoke(*words)
    finally:
        over.set()
        watcher.join()
    assert result.exit_code == 130, result.output
