"""The same command gives the same bytes, times aside, whatever number of processes loads the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.forked import Commands
from tests.made_run import make_run
from tests.test_damage_run import WORDS
from tests.test_kills import MADE, content

LOADED = ["data=imagefolder", "data.in_memory_mb=0", "data.image_size=8", "data.augment.flip=true"]
SHORT = ["train.float_epochs=1", "train.epochs=1", "train.frozen_epochs=0", "train.batch_size=64"]


@pytest.mark.slow
def test_every_stage_gives_the_same_bytes_twice(runner: Commands, tmp_path: Path) -> None:
    """The second run is on the table of the first: what is measured differs."""
    first, second = tmp_path / "first", tmp_path / "second"
    for run, more in ((first, []), (second, [f"table={first / 'latency.json'}"])):
        done = runner.run("run", f"run_dir={run}", *WORDS, *more, limit_s=1800)
        assert done.status == 0, done.err
    for name in (name for stage, names in MADE.items() if stage != "profile-latency" for name in names):
        assert content(first / name) == content(second / name), name


@pytest.mark.slow
def test_loader_processes_do_not_change_the_result(runner: Commands, tmp_path: Path) -> None:
    images = tmp_path / "images"
    digits = load_digits()
    for number in range(300):
        path = images / str(digits.target[number]) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[number] * 255 / 16).astype(np.uint8)).resize((12, 10)).save(path)
    made, weights = make_run(tmp_path / "made"), set()
    for workers in (0, 1, 2):
        run = tmp_path / f"with-{workers}"
        words = [f"run_dir={run}", f"net={made / 'net.json'}", f"data.root={images}", f"data.workers={workers}"]
        done = runner.run("train", *words, *LOADED, *SHORT, limit_s=600)
        assert done.status == 0, done.err
        weights.add((run / "weights.safetensors").read_bytes())
    assert len(weights) == 1
