"""A running agent, here or far away: what it tells while it measures."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frostnas.latency.job import MeasuringError

AGENT = Path(__file__).parents[1] / "agent.py"
OnRound = Callable[[int], None]
"""Told the number of every finished round, from 1; after an interruption it begins later."""
Say = Callable[[str], None]
"""Shows one line."""


class AgentFailed(MeasuringError):
    """The agent's process ended otherwise than with results."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"the measuring agent failed: {words or f'exit status {status}'}")
        self.status = status


def follow(command: Sequence[str], listen: Callable[[dict[str, Any]], None]) -> None:
    """Run an attached agent and pass on everything that it tells.

    The agent ends when its standard input does, hence with this process, however that ends.

    Raises:
        AgentFailed: it failed; with its last words.
    """
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if line.startswith(b"{") and line.endswith(b"}\n"):  # no greeting of a shell, no half line
                        listen(json.loads(line))
            except BaseException:
                process.kill()
                raise
        errors.seek(0)
        words = errors.read().decode(errors="replace").strip().splitlines()
    if process.returncode:
        raise AgentFailed(process.returncode, words[-1] if words else "")
