"""Grids as tables in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from frostnas.report.grids import Grid


def view(*grids: Grid) -> Group:
    """One below the other, each under its title."""
    parts: list[Text | Table] = []
    for grid in grids:
        if grid.title:
            parts.append(Text(grid.title, style="bold"))
        parts.append(_table(grid))
    return Group(*parts)


def _table(grid: Grid) -> Table:
    table = Table(show_header=bool(grid.columns))
    if not grid.columns:
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
    for name in grid.columns:
        if name in grid.words:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in grid.rows:
        table.add_row(*row)
    return table
