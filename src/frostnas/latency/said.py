"""What the measuring agent says, as values within the limits of what a machine can measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from frostnas.artifacts import Host
from frostnas.artifacts.limits import Amount, Digest, Line, Slot, Whole


@dataclass(frozen=True, slots=True)
class Facts:
    """A machine, and the Python on it that the agent runs in."""

    machine: Line
    cpu: Line
    cpu_flags: tuple[Slot, ...]
    system: Line
    emulated: bool
    runtime: Slot
    runtime_version: Line
    """Empty where it is missing."""
    python: Line
    governor: Line
    """Of the CPU's clock; empty where Linux does not say."""

    @property
    def host(self) -> Host:
        return Host(self.machine, self.cpu, self.cpu_flags, self.system, self.emulated)


@dataclass(frozen=True, slots=True)
class Readiness:
    """`--check`: what whoever is about to send models to a machine wants to know."""

    facts: Facts
    lacking: dict[str, str]
    """Missing package -> what its import said."""
    throttled: tuple[str, ...]
    """Sentences on what holds the CPU's clock down."""
    free_bytes: int
    files: dict[str, str]
    """Name -> SHA-256 of what the folder holds."""


@dataclass(frozen=True, slots=True)
class Report:
    """`results.json`."""

    facts: Facts
    cpus: tuple[Whole, ...]
    manifest_sha256: Digest
    operations: tuple[dict[Line, Amount], ...]
    """Of the models that this was asked for: mean ms per run by "node name|operation"."""
    outputs: dict[Digest, Line]
    """Model -> SHA-256 of its output for the agent's fixed input."""
    samples: dict[Digest, Annotated[tuple[tuple[Amount, Amount], ...], Meta(min_length=1)]]
    """Model -> ms per run, hot and round robin, in every round."""
