"""Rows of one type as CSV, the columns being its fields."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from typing import Any


def csv_of(kind: type[Any], rows: Iterable[Any]) -> bytes:
    """A header and a line for each dataclass of ``rows``; None is empty."""
    names = [one.name for one in fields(kind)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return text.getvalue().encode()
