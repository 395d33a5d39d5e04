"""What the measuring agent says, as values."""

from __future__ import annotations

from dataclasses import dataclass

from frostnas.artifacts import Host


@dataclass(frozen=True, slots=True)
class Facts:
    """A machine, and the Python on it that the agent runs in."""

    machine: str
    cpu: str
    cpu_flags: tuple[str, ...]
    system: str
    emulated: bool
    runtime: str
    runtime_version: str
    """Empty where it is missing."""
    python: str
    governor: str
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
    cpus: tuple[int, ...]
    manifest_sha256: str
    operations: tuple[dict[str, float], ...]
    """Of the models that this was asked for: mean ms per run by "node name|operation"."""
    outputs: dict[str, str]
    """Model -> SHA-256 of its output for the agent's fixed input."""
    samples: dict[str, tuple[tuple[float, float], ...]]
    """Model -> ms per run, hot and round robin, in every round."""
