"""Measuring on this machine: models into a folder, the agent in a process of its own, results back."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from frostnas.artifacts import Host, Timing, sha256_of
from frostnas.config import LatencyConfig
from frostnas.latency.models import empty_model

FILE_ROUNDS = 30  # of few files: more rounds cost nothing and bridge a neighbour's burst of work
AGENT = Path(__file__).with_name("agent.py")


class MeasuringError(RuntimeError):
    """The agent failed; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's times in ms."""

    hot: Timing
    round_robin: Timing


@dataclass(frozen=True, slots=True)
class Session:
    """What one run of the agent measured, and where."""

    host: Host
    runtime_version: str
    cpus: tuple[int, ...]
    seconds: float
    models: dict[str, Measured]


def facts() -> dict[str, Any]:
    """What the agent says of this machine."""
    return _parsed(_agent("--facts"))


def host_of(said: Mapping[str, Any]) -> Host:
    """The machine in the agent's words."""
    return Host(said["machine"], said["cpu"], tuple(said["cpu_flags"]), said["system"], said["emulated"])


def this_host() -> Host:
    """The machine that this process runs on."""
    return host_of(facts())


def measure(models: Mapping[str, Path], config: LatencyConfig) -> Session:
    """Time models by name, all in one interleaved session.

    Raises:
        MeasuringError: the agent failed.
    """
    with tempfile.TemporaryDirectory(prefix="frostnas-latency-") as name:
        folder = Path(name)
        onnx.save(empty_model(), folder / "empty.onnx")
        listed = []
        for index, (model, path) in enumerate(models.items()):
            link = folder / f"{index}.onnx"
            link.symlink_to(path.resolve())
            listed.append({"name": model, "file": link.name, "sha256": sha256_of(path)})
        manifest = {
            "threads": config.threads,
            "batch": config.batch,
            "cpus": list(config.cpus),
            "rounds": config.rounds,
            "round_ms": config.round_ms,
            "empty": "empty.onnx",
            "models": listed,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        _agent(str(folder))
        results = json.loads((folder / "results.json").read_text())
    return Session(
        host_of(results["facts"]),
        results["facts"]["runtime_version"],
        tuple(results["cpus"]),
        results["seconds"],
        {one["name"]: Measured(Timing(*one["hot_ms"]), Timing(*one["round_robin_ms"])) for one in results["models"]},
    )


def measure_files(paths: Sequence[Path], config: LatencyConfig) -> list[Timing]:
    """Latency of ONNX files in a loop, ms for one image."""
    named = {str(index): path for index, path in enumerate(paths)}
    session = measure(named, replace(config, batch=1, rounds=max(config.rounds, FILE_ROUNDS)))
    return [session.models[name].hot for name in named]


def _agent(*words: str) -> str:
    done = subprocess.run([sys.executable, str(AGENT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasuringError(f"the measuring agent failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _parsed(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value
