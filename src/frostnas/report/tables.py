"""Grids as tables in a terminal. What they hold is shown as it stands: neither markup nor escape sequences act."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from frostnas.readable import readable
from frostnas.report.grids import Grid


def view(*grids: Grid) -> Group:
    """One below the other, each under its title."""
    parts: list[Text | Table] = []
    for grid in grids:
        if grid.title:
            parts.append(Text(readable(grid.title), style="bold"))
        parts.append(_table(grid))
    return Group(*parts)


def _table(grid: Grid) -> Table:
    table = Table(show_header=bool(grid.columns))
    if not grid.columns:
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
    for name in grid.columns:
        if name in grid.words:
            table.add_column(Text(readable(name)), overflow="fold")
        else:
            table.add_column(Text(readable(name)), justify="right", no_wrap=True)
    for row in grid.rows:
        table.add_row(*(Text(readable(cell)) for cell in row))
    return table
