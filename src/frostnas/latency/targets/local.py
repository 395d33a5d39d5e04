"""The target `local`: the agent in a process of its own on this machine."""

from __future__ import annotations

import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from frostnas.artifacts import Host
from frostnas.extras import need
from frostnas.latency.said import Facts
from frostnas.latency.targets.follow import AGENT, OnRound, follow


def this_host() -> Host:
    """The machine that this process runs on."""
    return msgspec.json.decode(subprocess.check_output([sys.executable, str(AGENT), "--facts"]), type=Facts).host


def run_agent(folder: Path, on_round: OnRound = lambda number: None) -> None:
    """Measure the models of a folder on this machine, its results beside them.

    Raises:
        AgentFailed: the agent failed.
    """

    def listen(said: dict[str, Any]) -> None:
        if "round" in said:
            on_round(said["round"][0])

    follow([sys.executable, str(AGENT), "--attached", str(folder)], listen)


class Local:
    """This machine.

    Raises:
        InputError: the runtime is not installed.
    """

    def __init__(self, runtime: str) -> None:
        need(runtime, f"latency.runtime={runtime}")

    @cached_property
    def host(self) -> Host:
        return this_host()

    def measure(self, folder: Path, on_round: OnRound) -> None:
        """See `Target`."""
        run_agent(folder, on_round)
