"""What all charts share: colours, sizes, and how a chart of Altair becomes a figure on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

BLUE, GREY, RED, GREEN, AMBER = "#3b82f6", "#8b949e", "#e5484d", "#2e9e5b", "#d98a00"  # seen on white and on black
VIOLET, TEAL, PINK = "#8e6bea", "#1aa3a3", "#d6599b"
HEIGHT, ROW = 300, 16  # of a chart and of one layer's row, pixels

Values = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart and what it shows."""

    name: str
    """Its element's id."""
    caption: str
    spec: dict[str, Any]
    """Vega-Lite, with its data."""


def chart(values: Values) -> Any:
    """A chart of rows, without marks; what altair makes of it has types that no checker follows."""
    return alt.Chart(alt.InlineData(values=values))


def figure(name: str, caption: str, drawn: Any) -> Figure:
    """A chart as wide as the page lets it be, without a background of its own."""
    height = HEIGHT if drawn.height is alt.Undefined else drawn.height
    drawn = drawn.properties(width="container", height=height)
    spec: dict[str, Any] = drawn.configure(background="transparent").configure_view(stroke=None).to_dict()
    return Figure(name, caption, spec)
