"""`frostnas doctor` says what stands in the way, what to mind, and what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from frostnas.artifacts import Host
from frostnas.cli.doctor import Finding, State, _cpu, doctor
from frostnas.config.compose import compose_config


def look(*overrides: str) -> dict[str, Finding]:
    return {one.what: one for one in doctor(compose_config(overrides)).data}


def cpu(machine: str, *flags: str) -> Finding:
    (found,) = _cpu(Host(machine, "a CPU", flags, "Linux"))
    return found


def test_everything_is_looked_at_and_each_finding_says_what_it_means() -> None:
    found = look()
    assert {"torch", "device", "onnxruntime", "CPU", "governor", "load", "memory", "disk"} <= found.keys()
    assert all(one.found and one.means for one in found.values())


def test_a_run_directory_with_folders_in_it_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    assert look(f"run_dir={tmp_path}")["disk"].found


def test_an_x86_cpu_without_vnni_gets_weights_of_seven_bits() -> None:
    assert cpu("x86_64", "avx2").state is State.mind
    assert "7 bits" in cpu("x86_64", "avx2").means
    assert cpu("x86_64", "avx2", "avx512_vnni").state is State.ok


def test_an_arm_cpu_is_judged_by_dotprod_and_i8mm() -> None:
    assert cpu("aarch64", "asimddp", "i8mm").state is State.ok
    assert "no i8mm" in cpu("aarch64", "asimddp").means
    assert cpu("aarch64").state is State.mind


def test_a_device_that_is_not_there_stands_in_the_way() -> None:
    import torch

    if torch.cuda.is_available():
        return
    assert look("device=cuda")["device"].state is State.blocks
    assert look()["device"].state is State.ok


def test_a_format_stands_in_the_way_only_if_it_is_asked_for() -> None:
    asked, unasked = look("export.formats=[onnx,executorch]")["executorch"], look()["executorch"]
    if asked.found == "not installed":
        assert (asked.state, unasked.state) == (State.blocks, State.ok)
        assert "frostnas[executorch]" in asked.means


def test_a_target_that_cannot_be_reached_ends_with_status_1_and_says_why(tmp_path: Path) -> None:
    words = ["doctor", "--json", "latency/target=ssh", "host=nobody@localhost", "latency.target.port=9"]
    code = "from frostnas.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = {one["what"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found["target"]["state"] == "blocks"
    assert list(tmp_path.iterdir()) == []
