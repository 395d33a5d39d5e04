"""From the config to the machine that latency is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from frostnas.artifacts import Host
from frostnas.config import LatencyConfig, TargetName
from frostnas.latency.targets.bundle import Bundle
from frostnas.latency.targets.follow import OnRound, Say
from frostnas.latency.targets.local import Local
from frostnas.latency.targets.ssh import open_ssh


class Target(Protocol):
    """A machine to measure on."""

    @property
    def host(self) -> Host | None:
        """What it is; None where it cannot be asked."""
        ...

    def measure(self, folder: Path, on_round: OnRound) -> None:
        """Measure the models of a folder; its `results.json` is there afterwards.

        Raises:
            MeasuringError: the agent failed, or the machine went away.
        """
        ...


@contextmanager
def open_target(latency: LatencyConfig, say: Say = lambda line: None) -> Iterator[Target]:
    """The config's target, checked before anything is made for it.

    Args:
        say: shows lines on the machine and on how far copying is.

    Raises:
        InputError: it cannot be reached, or lacks something.
    """
    match latency.target.name:
        case TargetName.local:
            yield Local(latency.runtime.value)
        case TargetName.bundle:
            yield Bundle(latency.target, latency.runtime.value)
        case TargetName.ssh:
            with open_ssh(latency, say) as target:
                yield target
