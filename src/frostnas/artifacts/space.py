"""What a network space was fitted to: the images and the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from frostnas.artifacts.limits import Count, Pixels, Positive


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


@dataclass(frozen=True, slots=True)
class ChosenSizes:
    """Sizes of images among which a search chooses, where nobody has given one."""

    KIND: ClassVar[str] = "sizes"
    SCHEMA: ClassVar[int] = 1

    sizes: tuple[Pixels, ...]
    """Sides in pixels, rising."""
    pictures: Count
    """What the pictures have: the median of their shorter sides, pixels."""
    budget_ms: Positive | None
    """The latency that the sizes were chosen for; None where they span all that the pictures have."""
