"""What a network space was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from frostnas.artifacts.limits import Pixels, Positive


@dataclass(frozen=True, slots=True)
class FittedSpace:
    """By how much a skeleton's widths were changed so that it holds a budget, and the latencies that say so."""

    KIND: ClassVar[str] = "space"
    SCHEMA: ClassVar[int] = 1

    image_size: Pixels
    budget_ms: Positive
    factor: Positive
    """Of all widths."""
    fastest_ms: Positive
    """Of the network of least multiply-adds."""
    slowest_ms: Positive
    """Of that of most."""
