"""The confusion matrix of `frostnas evaluate` as a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from frostnas.artifacts import Evaluation, write_atomic
from frostnas.readable import cell


def save_counts(result: Evaluation, path: Path) -> None:
    """Write counts of images as CSV: rows are true classes, columns named ones."""
    names = [cell(one.name) for one in result.classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ named", *names])
    writer.writerows([name, *row] for name, row in zip(names, result.confusion, strict=True))
    write_atomic(path, text.getvalue().encode())
