"""What a time limit made of a run: per stage the settings that were chosen, and how long it would take and took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from frostnas.artifacts.limits import Amount, Digest, Line, Whole

EARLY = "early"
"""The first network of a run with a time limit: its name in the plan, and the folder of its own run."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage of a plan."""

    name: Line
    """Its command."""
    settings: dict[str, Whole | Amount]
    """Config key -> the value chosen for it."""
    seconds: Amount
    """How long it would take."""
    peak_bytes: Whole
    """The most memory that the process would hold; 0 where it was not looked at."""
    basis: Digest
    """Of the config that the settings were chosen for."""
    begun: bool = False
    """Its settings stay as they are."""
    taken_s: Amount | None = None
    """How long it took, in the command that finished it; None where it is not done."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Of a whole command."""

    KIND: ClassVar[str] = "plan"
    SCHEMA: ClassVar[int] = 1

    limit_s: Amount | None
    """The time limit; None for none."""
    stages: tuple[StagePlan, ...]
    left_out: tuple[Line, ...] = ()
    """What more time would have added."""
    fits: bool = True
    """Whether the stages end within the limit."""
    spent_s: Amount = 0.0
    """Of the limit, in commands that were interrupted."""
