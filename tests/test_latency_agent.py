"""The agent measures, goes on where it stopped, and its results cannot be mixed up or edited unnoticed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from frostnas.config import LatencyConfig
from frostnas.errors import InputError
from frostnas.latency import MeasuringError, this_host
from frostnas.latency.agent import value_of
from frostnas.latency.job import Job, read_results
from frostnas.latency.measure import perform
from frostnas.latency.models import network_model
from frostnas.latency.targets import run_agent
from frostnas.latency.targets.follow import AGENT
from frostnas.quant import Scheme
from tests.latency_parts import NET

CONFIG = LatencyConfig(rounds=3, round_ms=1)


def prepared(folder: Path, config: LatencyConfig = CONFIG) -> Job:
    """Two networks that cost very differently."""
    job = Job(folder, config)
    job.add("small", network_model(NET, Scheme()))
    job.add("large", network_model(replace(NET, image_size=64), Scheme()))
    job.close(operations_of=["small"], outputs_of=["small"])
    return job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A measured job."""
    made = prepared(tmp_path / "job")
    run_agent(made.folder)
    return made


def rounds_in(folder: Path) -> list[int]:
    """Models per line of the journal, without its first line."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [len(value_of(line)) for line in lines[1:]]


def test_the_agent_measures_and_says_where(job: Job) -> None:
    session = job.session()
    assert 0 < session.models["small"].hot.p50 < session.models["large"].hot.p50
    assert session.host == this_host() and not session.host.emulated
    assert len(session.cpus) == 1
    kinds = {name.rpartition("|")[2] for name in session.operations[0]}
    assert {"QLinearConv", "QLinearConcat", "QLinearAdd"} <= kinds
    assert len(session.outputs["small"]) == 64 and not session.outputs["large"]


def test_an_interrupted_measurement_goes_on_where_it_stopped(job: Job) -> None:
    journal = job.folder / "journal.jsonl"
    kept = journal.read_text().splitlines(keepends=True)[:2]  # the key and one round
    journal.write_text("".join(kept) + '0123456789abcdef {"half a li')
    run_agent(job.folder)
    assert journal.read_text().startswith("".join(kept))
    assert rounds_in(job.folder) == [2, 2, 2]


def test_batch_precision_and_cpus_are_what_is_measured(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    outputs = set()
    for batch, quantized in ((1, True), (4, True), (1, False)):
        config = LatencyConfig(rounds=2, round_ms=1.0, batch=batch, cpus=[cpu])
        job = Job(tmp_path / f"{batch}-{quantized}", config)
        job.add("network", network_model(NET, Scheme(), quantized=quantized))
        job.close(operations_of=["network"], outputs_of=["network"])
        session = perform(job)
        assert session.cpus == (cpu,)
        outputs.add(session.outputs["network"])
        kinds = {key.partition("|")[2] for key in session.operations[0]}
        assert ("QLinearConv" in kinds) == quantized
    assert len(outputs) == 3


def test_another_protocol_starts_anew(job: Job) -> None:
    before = (job.folder / "journal.jsonl").read_text()
    changed = prepared(job.folder, replace(CONFIG, round_ms=0.5))
    assert not (job.folder / "results.json").exists()
    run_agent(changed.folder)
    after = (job.folder / "journal.jsonl").read_text()
    assert not set(before.splitlines()) & set(after.splitlines())


def test_a_further_model_is_measured_without_repeating_the_others(job: Job) -> None:
    more = prepared(job.folder)
    more.add("tiny", network_model(replace(NET, image_size=8), Scheme()))
    more.close()
    run_agent(more.folder)
    assert rounds_in(job.folder) == [2, 2, 2, 1, 1, 1]
    assert set(more.session().models) == {"small", "large", "tiny"}


def test_the_same_job_again_keeps_its_results(job: Job) -> None:
    prepared(job.folder).session()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"hot"', '"hot"', ""),
        ('"emulated": false', '"emulated": true', "was changed after the agent wrote it"),
        ("}", "", "is not a whole results.json"),
    ],
)
def test_results_that_were_cut_or_edited_are_refused(job: Job, old: str, new: str, said: str) -> None:
    path = job.folder / "results.json"
    path.write_text(new.join(path.read_text().rsplit(old, 1)))
    if not said:
        read_results(path, job.folder)
        return
    with pytest.raises(InputError, match=said):
        job.session()


def test_results_of_other_models_are_refused(job: Job, tmp_path: Path) -> None:
    other = Job(tmp_path / "other", CONFIG)
    other.add("small", network_model(NET, Scheme()))
    other.close()
    with pytest.raises(InputError, match="other models or settings"):
        read_results(job.folder / "results.json", other.folder)


def test_the_agent_refuses_a_model_that_is_not_in_its_manifest(tmp_path: Path) -> None:
    job = prepared(tmp_path)
    path = tmp_path / f"{job.digests['small']}.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(MeasuringError, match="is not the model that the manifest names"):
        run_agent(tmp_path)
    assert not (tmp_path / "results.json").exists()


def test_the_agent_says_that_there_is_nothing_to_measure(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, AGENT, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"agent: no manifest.json in {tmp_path}\n")


def test_the_agent_tests_itself() -> None:
    done = subprocess.run([sys.executable, AGENT, "--self-test"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "agent: self-test passed"), done.stderr


def test_the_agent_needs_only_python_3_8_numpy_and_onnxruntime() -> None:
    tree = ast.parse(AGENT.read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime"}


def test_an_attached_agent_ends_with_its_input(tmp_path: Path) -> None:
    job = prepared(tmp_path, replace(CONFIG, rounds=10_000))
    command = [sys.executable, AGENT, "--attached", job.folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin is not None and agent.stdout is not None
        assert b"journal" in agent.stdout.readline()
        agent.stdin.close()
        assert agent.wait(timeout=10) == 1


def test_an_agent_that_was_left_behind_is_ended_by_the_next(tmp_path: Path) -> None:
    job = prepared(tmp_path)
    busy = "import runpy, sys, time; sys.argv = sys.argv[1:]; m = runpy.run_path(sys.argv[0]); "
    busy += "lock = m['alone_in'](sys.argv[1]); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", busy, AGENT, job.folder], stdout=subprocess.PIPE) as left:
        assert left.stdout is not None and left.stdout.readline() == b"held\n"
        run_agent(job.folder)
        assert left.wait(timeout=10) < 0
    assert job.session().models
