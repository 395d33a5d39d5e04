"""Killed at random points and started again, every stage and `run` end with the artifacts of an undisturbed run.

The commands start from a process that has imported everything, so that kills land in their work, and write checkpoints
after every step. `FROSTNAS_KILL_SEED=N` gives other points; the seed is printed.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.forked import Commands
from tests.made_run import make_run
from tests.test_damage_run import WORDS, facts

SEED = int(os.environ.get("FROSTNAS_KILL_SEED", "20"))
MADE = {
    "search-block": ["block.json"],
    "profile-latency": ["latency.json", "latency.csv"],
    "search-net": ["net.json", "net.safetensors", "pareto.csv"],
    "train": ["train.json", "weights.safetensors", "metrics/train.csv", "metrics/ranges.csv"],
    "export": ["export.json", "model.int8.onnx", "model.fp32.onnx"],
}
"""Stage -> the files that it makes, in the order of the chain."""
MEASURED = ("calibration", "fitted", "held_out", "repeatability", "warnings")
"""Of a latency table: what follows from measured times, and so differs between any two runs."""
KILLS = {"search-block": 10, "profile-latency": 8, "search-net": 10, "train": 10, "export": 6, "run": 10}


@pytest.fixture(scope="module")
def finished(runner: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "run"
    done = runner.run("run", f"run_dir={run}", *WORDS, limit_s=1800)
    assert done.status == 0, done.err
    return run


def content(path: Path) -> Any:
    """What must be equal in a file: all of it, without times."""
    if path.suffix == ".json":
        data = json.loads(path.read_bytes())["data"]
        measured = MEASURED if path.name == "latency.json" else ()
        return facts({key: value for key, value in data.items() if key not in measured})
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [facts(row) for row in csv.DictReader(file)]
    return path.read_bytes()


def files_in(run: Path) -> set[str]:
    """Files of a run by name; of checkpoints, which come and go, none."""
    return {
        str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.parent.name != "checkpoints"
    }


def survive(
    runner: Commands, run: Path, words: list[str], before: Path, kills: int, rng: random.Random
) -> dict[str, Any]:
    """Run a command in ``run``, at first a copy of ``before``, until it was killed ``kills`` times; then to its end.

    Returns:
        What its files held after it had run undisturbed.
    """
    shutil.copytree(before, run)
    undisturbed = runner.run(*words, limit_s=1800)
    assert undisturbed.status == 0, undisturbed.err
    made = {name: content(run / name) for name in files_in(run)}
    shutil.rmtree(run)
    shutil.copytree(before, run)
    landed = 0
    while landed < kills:
        done = runner.run(*words, limit_s=rng.uniform(0.02, 0.7) * undisturbed.seconds)
        assert not done.orphans, f"left running: {done.orphans}"
        if done.status is None:
            landed += 1
            continue
        assert done.status == 0, done.err  # it was quicker than the kill: once more from the start
        shutil.rmtree(run)
        shutil.copytree(before, run)
    last = runner.run(*words, limit_s=1800)
    assert last.status == 0, last.err
    return made


@pytest.mark.slow
@pytest.mark.parametrize("stage", KILLS)
def test_killed_and_started_again_it_ends_with_equal_artifacts(
    runner: Commands, finished: Path, tmp_path: Path, stage: str
) -> None:
    print(f"FROSTNAS_KILL_SEED={SEED}")
    before, run = tmp_path / "before", tmp_path / "run"
    before.mkdir()
    stages = list(MADE)
    for earlier in stages[: stages.index(stage)] if stage != "run" else []:
        for name in MADE[earlier]:
            (before / name).parent.mkdir(exist_ok=True)
            shutil.copy(finished / name, before / name)
    words = [stage, f"run_dir={run}", "checkpoint_s=0", *WORDS]
    if stage == "run":  # on the table of the undisturbed run: what is measured differs
        words.append(f"table={finished / 'latency.json'}")
    survive(runner, run, words, before, KILLS[stage], random.Random(f"{SEED} {stage}"))
    made = [name for one in stages if one != "profile-latency" for name in MADE[one]] if stage == "run" else MADE[stage]
    for name in made:
        assert content(run / name) == content(finished / name), name
    assert files_in(run) <= files_in(finished) | {"report.html"}
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]


def test_a_training_killed_twice_ends_with_the_weights_of_an_undisturbed_one(runner: Commands, tmp_path: Path) -> None:
    """The quick one: a real SIGKILL, and the same command again."""
    print(f"FROSTNAS_KILL_SEED={SEED}")
    made, before, run = (tmp_path / name for name in ("made", "before", "run"))
    make_run(made)
    before.mkdir()
    words = ["train", "data.image_size=8", "train.float_epochs=0", "train.epochs=2", "train.frozen_epochs=0"]
    words += ["checkpoint_s=0", f"net={made / 'net.json'}", "train.batch_size=256", f"run_dir={run}"]
    undisturbed = survive(runner, run, words, before, 2, random.Random(SEED))
    for name in MADE["train"]:
        assert content(run / name) == undisturbed[name], name
    assert files_in(run) == set(undisturbed)
