"""Damage to a real run, its checkpoints and unfinished measurements: one clear line, or the result of before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frostnas.config import LatencyConfig
from frostnas.errors import InputError
from frostnas.latency.agent import signature
from frostnas.latency.job import Job, read_results
from frostnas.latency.models import network_model
from frostnas.latency.targets import run_agent
from frostnas.latency.targets.follow import AGENT
from frostnas.quant import Scheme
from tests.damage import ACCIDENTS, VALUES, leaves, put
from tests.forked import Commands, Done
from tests.latency_parts import NET
from tests.made_run import make_run
from tests.tiny import TINY

WORDS = [*TINY, "search_block.latency_weight=0"]  # what was measured decides nothing that is compared
MOST_MB = 1000
MADE = ["weights.safetensors", "net.safetensors", "model.int8.onnx", "model.fp32.onnx", "pareto.csv"]
READ = ["block.json", "latency.json", "latency.csv", "net.json", "train.json", "export.json"]
STAGES = {
    "search-block": ("block.json", "search*block*", ["search-block.csv"], []),
    "search-net": ("net.json", "search*net*", ["search-net.csv"], ["net.safetensors"]),
    "train": ("train.json", "train*", ["train.csv", "ranges.csv"], ["weights.safetensors"]),
}
"""Stage -> its artifact, its checkpoints, its metrics, and its weights."""


@pytest.fixture(scope="module")
def finished(runner: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "run"
    done = runner.run("run", "--json", f"run_dir={run}", *WORDS, limit_s=1800)
    assert done.status == 0, done.err
    return run


@pytest.fixture(scope="module")
def other(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of another run by their names in `finished`; its own checkpoints and metrics under each other's names."""
    run = make_run(tmp_path_factory.mktemp("other") / "run", seed=1)
    shutil.copy(finished / "metrics" / "train.csv", run / "pareto.csv")
    for folder in ("checkpoints", "metrics"):
        (run / folder).mkdir(exist_ok=True)
        files = sorted(path for path in (finished / folder).iterdir() if path.is_file())
        for file, name in zip(files, [*files[1:], files[0]], strict=True):
            shutil.copy(file, run / folder / name.name)
    return run


def facts(value: Any) -> Any:
    """A result without times, and without digests of files that hold them."""
    if isinstance(value, dict):
        return {
            key: facts(inner)
            for key, inner in value.items()
            if key not in ("seconds", "factors", "operations", "csv_sha256") and "_ms" not in key
        }
    return [facts(inner) for inner in value] if isinstance(value, list) else value


def check(done: Done, run: Path, finished: Path, artifacts: list[str], files: list[str]) -> None:
    """One clear line, or artifacts that say the same and files of the same bytes, soon and within a gigabyte."""
    assert done.status is not None, "it hung"
    assert done.peak_mb < MOST_MB, f"{done.peak_mb:.0f} MB"
    assert "Traceback" not in done.err, done.err[-2000:]
    if done.status:
        assert done.complaint, f"status {done.status}: {done.err[-2000:]}"
        return
    for name in artifacts:
        now, before = (json.loads((folder / name).read_bytes())["data"] for folder in (run, finished))
        assert facts(now) == facts(before), name
    for name in files:
        assert (run / name).read_bytes() == (finished / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize("name", [*READ, *MADE])
def test_run_sees_damage_to_what_it_finds_done(
    runner: Commands, finished: Path, other: Path, tmp_path: Path, name: str, accident: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    ACCIDENTS[accident](run / name, other / name)
    done = runner.run("run", "--json", f"run_dir={run}", *WORDS, limit_s=600)
    check(done, run, finished, [one for one in READ if one.endswith(".json")], MADE)


def damaged_stage(finished: Path, tmp_path: Path, stage: str) -> Path:
    """A copy of the run in which a stage has done all of its work but not written its artifact."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    artifact, _, _, files = STAGES[stage]
    for name in (artifact, *files):
        (run / name).unlink()
    return run


@pytest.mark.slow
@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_checkpoint_does_not_change_the_result(
    runner: Commands, finished: Path, other: Path, tmp_path: Path, stage: str, accident: str
) -> None:
    run = damaged_stage(finished, tmp_path, stage)
    artifact, pattern, _, files = STAGES[stage]
    for path in sorted((run / "checkpoints").glob(pattern)):
        ACCIDENTS[accident](path, other / "checkpoints" / path.name)
    done = runner.run(stage, f"run_dir={run}", *WORDS, limit_s=600)
    check(done, run, finished, [artifact], files)


@pytest.mark.slow
@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize(
    ("stage", "metrics"), [(stage, name) for stage, (_, _, names, _) in STAGES.items() for name in names]
)
def test_damaged_metrics_do_not_change_the_result(
    runner: Commands, finished: Path, other: Path, tmp_path: Path, stage: str, metrics: str, accident: str
) -> None:
    run = damaged_stage(finished, tmp_path, stage)
    artifact, _, _, files = STAGES[stage]
    ACCIDENTS[accident](run / "metrics" / metrics, other / "metrics" / metrics)
    done = runner.run(stage, f"run_dir={run}", *WORDS, limit_s=600)
    check(done, run, finished, [artifact], [*files, f"metrics/{metrics}"])


def prepared(folder: Path, rounds: int = 3) -> Job:
    job = Job(folder, LatencyConfig(rounds=rounds, round_ms=0.5))
    job.add("network", network_model(NET, Scheme()))
    job.close(operations_of=["network"], outputs_of=["network"])
    return job


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the agent after two rounds of three."""
    folder = tmp_path_factory.mktemp("measured") / "job"
    run_agent(prepared(folder, rounds=2).folder)
    prepared(folder)
    return folder


@pytest.fixture(scope="module")
def complete(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("complete") / "job"
    shutil.copytree(measured, folder)
    run_agent(folder)
    return folder


QUICK_MEASURED = {("journal.jsonl", "many-bits"), ("journal.jsonl", "folder"), ("manifest.json", "folder")}


@pytest.mark.parametrize(
    ("name", "accident"),
    [
        pytest.param(name, accident, marks=[] if (name, accident) in QUICK_MEASURED else [pytest.mark.slow])
        for name in ("journal.jsonl", "manifest.json")
        for accident in ACCIDENTS
    ],
)
def test_an_unfinished_measurement_goes_on_from_what_is_whole(
    measured: Path, tmp_path: Path, name: str, accident: str
) -> None:
    """The agent measures anew what is damaged, or names it in one line."""
    folder = tmp_path / "job"
    shutil.copytree(measured, folder)
    ACCIDENTS[accident](folder / name, folder / "journal.jsonl")
    done = subprocess.run(
        [sys.executable, str(AGENT), str(folder)], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        assert done.stderr.startswith(f"agent: {folder / name}") and done.stderr.count("\n") == 1, done.stderr[-2000:]
        assert name == "manifest.json" or accident == "folder"
        if accident == "folder":
            return
        prepared(folder)  # writes it anew, as the command does
        run_agent(folder)
    times = prepared(folder).session().models["network"]
    assert 0 < times.hot.p10 <= times.hot.p50 <= times.hot.p90 < 1e3


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_damaged_results_of_a_bundle_are_refused(complete: Path, tmp_path: Path, accident: str) -> None:
    folder = tmp_path / "job"
    shutil.copytree(complete, folder)
    before = prepared(folder).session()
    ACCIDENTS[accident](folder / "results.json", folder / "manifest.json")
    try:
        after = prepared(folder).session()
    except InputError as error:
        assert "results.json: " in str(error) and "\n" not in str(error)
    else:
        assert after == before


def test_results_that_no_machine_measures_are_refused_by_place_though_their_signature_fits(
    complete: Path, tmp_path: Path
) -> None:
    """What is within the limits is believed: the machine that signs may say what it likes about its speed."""
    folder = tmp_path / "job"
    shutil.copytree(complete, folder)
    path, refused = folder / "results.json", 0
    whole = json.loads(path.read_bytes())
    key = json.loads((folder / "manifest.json").read_bytes())["key"]
    places = [place for place in leaves(whole) if place[0] not in ("signature", "manifest_sha256")]
    for at, place in enumerate(places):
        for value in (*VALUES[at % 3 :: 3], float("nan"), float("inf")):
            results = json.loads(json.dumps(whole))
            put(results, place, value)
            path.write_text(json.dumps(results | {"signature": signature(results, key)}))
            try:
                read_results(path, folder)
            except InputError as error:
                assert "results.json" in str(error) and "\n" not in str(error)
                refused += 1
    assert refused > len(places)


def test_a_kept_round_with_another_digit_is_measured_anew(measured: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    shutil.copytree(measured, folder)
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    at = lines[1].rindex(".") + 1
    lines[1] = f"{lines[1][:at]}{(int(lines[1][at]) + 1) % 10}{lines[1][at + 1 :]}"
    (folder / "journal.jsonl").write_text("".join(lines))
    run_agent(folder)
    after = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    assert after[0] == lines[0] and lines[1] not in after and len(after) == 4
