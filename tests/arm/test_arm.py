"""Profiling over ssh on a real aarch64 userland. Its CPU is emulated: what it computes is true, its times are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from frostnas.artifacts import BlockSpec, LayerSpec, Workload, load_table
from frostnas.cli import app
from frostnas.config import LatencyConfig, TargetConfig, TargetName
from frostnas.latency import this_host
from frostnas.latency.job import Job
from frostnas.latency.models import network_model, workload_model
from frostnas.latency.targets import open_target, run_agent
from frostnas.quant import Scheme
from tests.latency_parts import NET, WORKLOADS
from tests.tiny import TINY

pytestmark = pytest.mark.arm
SCRIPT = Path(__file__).with_name("target.sh")
FOLDER = Path(os.environ.get("FROSTNAS_ARM_DIR", "/var/lib/frostnas-arm"))
LARGE = [
    Workload(LayerSpec(BlockSpec(expand=6), 40, 2), 24, 56),
    Workload(LayerSpec(BlockSpec(), 96, 1), 96, 14),
]


@pytest.fixture(scope="module")
def machine() -> Iterator[TargetConfig]:
    """The emulated machine while it is up. FROSTNAS_ARM_KEEP=1 leaves its files for the next time."""

    def script(command: str) -> None:
        subprocess.run([SCRIPT, command, FOLDER], env={**os.environ, "PYTHON": sys.executable}, check=True)

    try:
        script("up")
        config = str(FOLDER / "ssh_config")
        yield TargetConfig(name=TargetName.ssh, host="frostnas-arm64", ssh_config=config)
    finally:
        script("down" if os.environ.get("FROSTNAS_ARM_KEEP") else "remove")


def job_of(folder: Path, latency: LatencyConfig, scheme: Scheme) -> Job:
    """Some blocks and a network, whose outputs are to be compared."""
    job = Job(folder, latency)
    for workload in [*WORKLOADS, *LARGE]:
        job.add(workload.key, workload_model(workload, scheme, 1, quantized=True))
    job.add("network", network_model(NET, scheme))
    job.close(outputs_of=list(job.digests))
    return job


@pytest.mark.parametrize("scheme", [Scheme(8), Scheme(7), Scheme(8, True)], ids=["8-bit", "7-bit", "int8"])
def test_int8_outputs_on_arm_are_those_of_x86_to_the_bit(machine: TargetConfig, scheme: Scheme, tmp_path: Path) -> None:
    vnni = {"avx512_vnni", "avx_vnni", "amx_int8"} & set(this_host().cpu_flags)
    if scheme.weight_bits == 8 and this_host().machine == "x86_64" and not vnni:
        pytest.skip("without VNNI this machine's own 8-bit sums overflow")
    latency = LatencyConfig(rounds=2, round_ms=1, target=machine)
    far, here = job_of(tmp_path / "far", latency, scheme), job_of(tmp_path / "here", latency, scheme)
    with open_target(latency) as target:
        target.measure(far.folder, lambda number: None)
    run_agent(here.folder)
    assert far.session().host.machine == "aarch64" and far.session().host.emulated
    assert far.session().outputs == here.session().outputs
    assert len(set(here.session().outputs.values())) == len(WORKLOADS) + len(LARGE) + 1


def test_a_table_from_an_emulated_machine_says_so(machine: TargetConfig, tmp_path: Path) -> None:
    words = ["latency/target=ssh", f"host={machine.host}", f"latency.target.ssh_config={machine.ssh_config}"]
    done = CliRunner().invoke(app, ["profile-latency", f"run_dir={tmp_path / 'run'}", *TINY, *words])
    assert done.exit_code == 0, done.output
    assert "this CPU is emulated" in " ".join(done.output.split())
    table = load_table(tmp_path / "run" / "latency.json")
    assert (table.host.machine, table.host.emulated, table.target) == ("aarch64", True, "ssh")
    assert table.protocol.activation_type == ("uint8" if "i8mm" in table.host.cpu_flags else "int8")
    assert all(row.hot_ms_p50 > 0 for row in table.rows)


def test_nothing_is_left_there(machine: TargetConfig) -> None:
    assert not (FOLDER / "root" / "root" / machine.folder).exists()
