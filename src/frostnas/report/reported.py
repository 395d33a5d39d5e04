"""A run as a report gets it: its artifacts, and what else lies beside them or speaks against them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frostnas.artifacts import Inspection, Plan
from frostnas.report.grids import RunSummary


@dataclass(frozen=True, slots=True)
class Reported:
    """One run."""

    name: str
    """What it is called on the page."""
    folder: Path
    """Where its plots and tables lie."""
    run: RunSummary
    doubts: tuple[str, ...] = ()
    """What speaks against trusting it, beside the warnings of its artifacts."""
    settings: str = ""
    """The resolved config as YAML."""
    inspection: Inspection | None = None
    """What the export saw of the network."""
    plan: Plan | None = None
    """What a time limit made of it."""

    @property
    def warnings(self) -> list[str]:
        """All that speaks against trusting it."""
        run = self.run
        stored = [
            f"{kind}.json: {said}"
            for kind, one in (("block", run.block), ("latency", run.latency), ("train", run.train))
            for said in (one.warnings if one is not None else ())
        ]
        return [*self.doubts, *stored]
