"""Figures per epoch of one stage, as CSV and on a TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from frostnas.artifacts import write_atomic
from frostnas.engine.board import Board

Figures = Mapping[str, float | int | str]


class MetricsWriter:
    """`metrics/<stage>.csv`: a header from the first row's names, then one line per row, on disk at once.

    The numbers of a row also go to the board, if there is one, with its `epoch` as their step.
    """

    def __init__(
        self, path: Path, text: str = "", *, writes: bool = True, board: Board | None = None, by: Sequence[str] = ()
    ) -> None:
        """Args: text: of an interrupted run, to go on after; what is at ``path`` is not read.
        writes: False for a process that shares a run directory with the one that writes.
        by: columns that tell rows of one epoch apart, such as the layer.
        """
        self.path, self.writes, self.board, self.by = path, writes, board, by
        self._rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self._write()

    def row(self, **figures: float | int | str) -> None:
        """Add a row; floats are written with the digits that restore them."""
        self.rows([figures])

    def rows(self, several: Iterable[Figures]) -> None:
        """Add rows in one step, so that a reader of the CSV sees all of them or none."""
        several = list(several)
        self._rows += [{name: str(value) for name, value in figures.items()} for figures in several]
        self._write()
        if self.board is not None:
            for figures in several:
                self._show(self.board, figures)
            self.board.flush()

    def _show(self, board: Board, figures: Figures) -> None:
        labels = [figures[name] if isinstance(figures[name], str) else f"{name}_{figures[name]}" for name in self.by]
        for name, value in figures.items():
            if name not in ("epoch", *self.by) and not isinstance(value, str):
                board.scalar("/".join([name, *map(str, labels)]), value, int(figures["epoch"]))

    @property
    def text(self) -> str:
        """All rows so far, as the file holds them."""
        text = io.StringIO(newline="")
        if self._rows:
            writer = csv.DictWriter(text, list(self._rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
        return text.getvalue()

    def _write(self) -> None:
        if self.writes:
            write_atomic(self.path, self.text.encode())
