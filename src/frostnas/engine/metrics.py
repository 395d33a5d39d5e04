"""Figures per epoch of one stage, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from frostnas.artifacts import write_atomic

Figures = Mapping[str, float | int | str]


class MetricsWriter:
    """`metrics/<stage>.csv`: a header from the first row's names, then one line per row, on disk at once."""

    def __init__(self, path: Path, keep: int = 0, *, writes: bool = True) -> None:
        """Args: keep: rows of an interrupted run to go on after; later ones are dropped.
        writes: False for a process that shares a run directory with the one that writes.
        """
        self.path, self.writes = path, writes
        self._rows: list[dict[str, str]] = []
        if keep and path.is_file():
            with path.open(newline="") as file:
                self._rows = list(csv.DictReader(file))[:keep]
        self._write()

    def row(self, **figures: float | int | str) -> None:
        """Add a row; floats are written with the digits that restore them."""
        self.rows([figures])

    def rows(self, several: Iterable[Figures]) -> None:
        """Add rows in one step, so that a reader sees all of them or none."""
        self._rows += [{name: str(value) for name, value in figures.items()} for figures in several]
        self._write()

    def _write(self) -> None:
        if not self.writes:
            return
        text = io.StringIO()
        if self._rows:
            writer = csv.DictWriter(text, list(self._rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
        write_atomic(self.path, text.getvalue().encode())
