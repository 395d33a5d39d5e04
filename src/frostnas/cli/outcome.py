"""What a command gives back to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command's result."""

    data: Any
    """For `--json`."""
    view: RenderableType
    """For the terminal."""
