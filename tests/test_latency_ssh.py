"""The target `ssh`, against an sshd on this machine."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from frostnas.config import LatencyConfig, TargetConfig, TargetName
from frostnas.errors import InputError
from frostnas.latency import MeasuringError, agent, this_host
from frostnas.latency.job import Job
from frostnas.latency.models import network_model
from frostnas.latency.said import Facts, Readiness
from frostnas.latency.targets import open_target, preflight
from frostnas.latency.targets.connection import Connection
from frostnas.quant import Scheme
from tests.latency_parts import NET
from tests.local_sshd import SSHD, drop_connections, running_sshd

FACTS = Facts("aarch64", "a board", (), "Linux", False, "onnxruntime", "1.22", "3.11.2", "ondemand")
needs_sshd = pytest.mark.skipif(SSHD is None, reason="needs sshd (apt install openssh-server)")


@pytest.fixture(scope="session")
def ssh_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as config:
        yield config


@pytest.fixture
def latency(ssh_config: Path, tmp_path: Path) -> LatencyConfig:
    """A far folder whose name a shell would take apart."""
    far = TargetConfig(
        name=TargetName.ssh,
        host="frostnas-test",
        ssh_config=str(ssh_config),
        python=sys.executable,
        folder=str(tmp_path / "a 'b' $(touch sprung); touch sprung #"),
        patience_s=20,
    )
    return LatencyConfig(rounds=3, round_ms=1, target=far)


def closed_job(folder: Path, latency: LatencyConfig) -> Job:
    job = Job(folder, latency)
    job.add("net", network_model(NET, Scheme()))
    job.add("larger", network_model(replace(NET, image_size=32), Scheme()))
    job.close(outputs_of=["net"])
    return job


@needs_sshd
def test_it_measures_over_one_connection_and_leaves_nothing_there(latency: LatencyConfig, tmp_path: Path) -> None:
    job, said, rounds = closed_job(tmp_path / "job", latency), [], []
    with open_target(latency, said.append) as target:
        target.measure(job.folder, rounds.append)
    session = job.session()
    assert rounds == [1, 2, 3]
    assert session.host == this_host() and session.models["net"].hot.p50 > 0
    assert "onnxruntime" in said[0] and "GB free" in said[0]
    assert re.fullmatch(r"frostnas-test: (\S+) of \1 MB copied", said[-1])
    assert not Path(latency.target.folder).exists() and not list(tmp_path.rglob("sprung"))


@needs_sshd
def test_after_a_dropped_connection_it_goes_on_where_the_agent_was(latency: LatencyConfig, tmp_path: Path) -> None:
    job, said, kept = closed_job(tmp_path / "job", latency), [], []

    def drop(number: int) -> None:
        if not kept:
            kept.append((job.folder / "journal.jsonl").read_text())
            drop_connections(latency.target.ssh_config)

    with open_target(latency, said.append) as target:
        target.measure(job.folder, drop)
    assert (job.folder / "journal.jsonl").read_text().startswith(kept[0])
    assert len((job.folder / "journal.jsonl").read_text().splitlines()) == 1 + latency.rounds
    assert "frostnas-test: the connection was dropped; connecting again" in said
    assert job.session().models and not Path(latency.target.folder).exists()


@needs_sshd
@pytest.mark.slow
def test_a_connection_that_falls_silent_is_given_up_and_the_agent_there_ended(
    latency: LatencyConfig, tmp_path: Path
) -> None:
    many = replace(latency, rounds=500)
    job, said = closed_job(tmp_path / "job", many), []

    def cut(number: int) -> None:
        if number == 3:
            drop_connections(latency.target.ssh_config, signal.SIGSTOP)

    with open_target(many, said.append) as target:
        target.measure(job.folder, cut)
    drop_connections(latency.target.ssh_config)
    lines = (job.folder / "journal.jsonl").read_text().splitlines()
    assert "frostnas-test: the connection was dropped; connecting again" in said
    assert len(lines) == 501 and len(set(lines)) == 501
    assert job.session().models


@needs_sshd
def test_interrupted_it_cleans_up_there_and_goes_on_later(latency: LatencyConfig, tmp_path: Path) -> None:
    job, rounds = closed_job(tmp_path / "job", latency), []

    def interrupt(number: int) -> None:
        assert Path(latency.target.folder).exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_target(latency) as target:
        target.measure(job.folder, interrupt)
    assert not Path(latency.target.folder).exists()
    with open_target(latency) as target:
        target.measure(job.folder, rounds.append)
    assert rounds == [2, 3] and job.session().models


@needs_sshd
def test_it_gives_up_on_a_machine_that_stays_away(latency: LatencyConfig, tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(Path(latency.target.ssh_config).read_text())
    away = replace(latency, target=replace(latency.target, ssh_config=str(config), patience_s=0))
    job = closed_job(tmp_path / "job", away)

    def leave(number: int) -> None:
        config.write_text(config.read_text().replace("Port ", "Port 1 # "))
        drop_connections(latency.target.ssh_config)

    said: list[str] = []
    with (
        pytest.raises(MeasuringError, match=r"not reached again within 0 s.*refused"),
        open_target(away, said.append) as far,
    ):
        far.measure(job.folder, leave)
    assert "could not remove" in said[-1]


@needs_sshd
@pytest.mark.parametrize("python", ["no such python", "{venv}"])
def test_a_far_side_that_lacks_something_is_told_what_to_install(
    latency: LatencyConfig, python: str, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    path = python.format(venv=bare / "bin" / "python")
    lacking = "without numpy and onnxruntime .*bin/pip install numpy onnxruntime"
    expected = lacking if "{" in python else r"does not run it .*apt install python3"
    with (
        pytest.raises(InputError, match=f"latency.target.python={path}: .*{expected}"),
        open_target(replace(latency, target=replace(latency.target, python=path))),
    ):
        pass


@needs_sshd
def test_a_refused_key_and_a_closed_port_are_one_line(latency: LatencyConfig, tmp_path: Path) -> None:
    other = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    text = Path(latency.target.ssh_config).read_text()
    for changed, said in (
        (re.sub(r"IdentityFile \S+", f"IdentityFile {other}", text), "Permission denied"),
        (re.sub(r"Port \d+", "Port 1", text), "Connection refused"),
    ):
        (tmp_path / "config").write_text(changed)
        target = replace(latency.target, ssh_config=str(tmp_path / "config"))
        with (
            pytest.raises(InputError, match=f"^latency.target.host=frostnas-test: cannot connect: .*{said}.*$"),
            open_target(replace(latency, target=target)),
        ):
            pass


@pytest.mark.parametrize(
    "host",
    ["", "-oProxyCommand=touch sprung", "-F", "pi@-x", "a b", "x;touch sprung", "$(touch sprung)", "`id`", "a\nb"],
)
def test_a_hostile_host_never_reaches_a_shell(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = TargetConfig(name=TargetName.ssh, host=host)
    with pytest.raises(InputError, match=r"latency\.target\.host="), open_target(LatencyConfig(target=target)):
        pass
    assert not list(tmp_path.iterdir())


def test_far_words_are_data() -> None:
    connection = Connection(TargetConfig(host="pi@board"))
    assert connection.command(["cat", "a b", "$(x)"])[-3:] == ["--", "pi@board", "cat 'a b' '$(x)'"]
    connection.close()


def test_what_slows_a_board_down_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {
        "/sys/devices/platform/soc/soc:firmware/get_throttled": "50005",  # bits 0 and 2: now; 16 and 18: once
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "600000",
        "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000",
        "/fan/type": "pwm-fan",
        "/fan/cur_state": "3",
        "/cpu/type": "thermal-cpufreq-0",
        "/cpu/cur_state": "1",
    }
    monkeypatch.setattr(agent, "read_text", lambda path: shown.get(path, ""))
    monkeypatch.setattr(agent.glob, "glob", lambda pattern: ["/fan", "/cpu"])
    said = list(preflight.describe(Readiness(FACTS, {}, tuple(agent.throttled()), 10**9, {})))
    assert "governor is ondemand" in said[1]
    assert [line.partition("full speed: ")[2] for line in said[2:]] == [
        "it is being cooled by a lower clock (thermal-cpufreq-0)",
        "it is throttled",
        "its clock is limited to 600 of 1800 MHz",
        "its supply voltage is too low",
    ]


@pytest.mark.parametrize(
    ("facts", "lacking", "said"),
    [
        ({"python": "3.7.3"}, {}, "expected 3.8 or newer"),
        ({"machine": "armv7l"}, {"onnxruntime": "none"}, "packaged for 64-bit systems only"),
        ({"runtime": "openvino"}, {"openvino": "none"}, "bin/pip install numpy openvino`"),
    ],
)
def test_what_a_far_python_is_refused_for(facts: dict[str, str], lacking: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        preflight.refuse(Readiness(replace(FACTS, **facts), lacking, (), 10**9, {}), TargetConfig(host="board"))
