"""The target `local`: the agent in a process of its own on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frostnas.artifacts import Host
from frostnas.latency.session import MeasuringError, host_of

AGENT = Path(__file__).with_name("agent.py")
OnRound = Callable[[int], None]
"""Told the number of every finished round, from 1."""


def facts() -> dict[str, Any]:
    """What the agent says of this machine."""
    said: dict[str, Any] = json.loads(follow([sys.executable, str(AGENT), "--facts"], lambda _: None))
    return said


def this_host() -> Host:
    """The machine that this process runs on."""
    return host_of(facts())


def run_agent(folder: Path, on_round: OnRound) -> None:
    """Measure the models of a folder on this machine, its results beside them.

    Raises:
        MeasuringError: the agent failed.
    """
    follow([sys.executable, str(AGENT), str(folder)], on_round)


def follow(command: Sequence[str], on_round: OnRound) -> str:
    """Run the agent and report the rounds that it says it begins; the last other line that it printed.

    Raises:
        MeasuringError: it failed; with its last words.
    """
    last = ""
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith('{"round"'):
                    on_round(json.loads(line)["round"] - 1)
                else:
                    last = line
        errors.seek(0)
        words = errors.read().strip().splitlines()
    if process.returncode:
        raise MeasuringError(f"the measuring agent failed: {words[-1] if words else process.returncode}")
    return last
