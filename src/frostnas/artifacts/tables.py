"""Rows of one type as CSV, the columns being its fields."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from frostnas.artifacts.store import bytes_of, checked
from frostnas.errors import InputError

Row = TypeVar("Row")


def csv_of(kind: type[Any], rows: Iterable[Any]) -> bytes:
    """A header and a line for each dataclass of ``rows``; None is empty."""
    names = [one.name for one in fields(kind)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return text.getvalue().encode()


def rows_in(path: Path, content: bytes, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of a table that has the columns of ``kind``; others are not looked at.

    Raises:
        InputError: it is no table, lacks a column, or holds a value outside its limits; ``path`` is named.
    """
    names = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    try:
        lines = list(csv.reader(io.StringIO(content.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table ({error})") from None
    header = lines[0] if lines else []
    if not set(names) <= set(header):
        raise InputError(f"{path}: has columns {', '.join(header[:40]):.400}; expected {', '.join(names)}")
    return tuple(_row(f"{path}: line {number}", header, words, kind) for number, words in enumerate(lines[1:], start=2))


def rows_of_figures(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of a table that only figures are made of; none where there is no file, or nothing in it.

    It has no digest: another value within the limits is believed.

    Raises:
        InputError: it is too large, or as of `rows_in`.
    """
    try:
        content = bytes_of(path)
        return rows_in(path, content, kind) if content else ()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; only figures are made of it: remove it to go without") from None
    except InputError as error:
        raise InputError(f"{error}; only figures are made of it: remove it to go without") from None


def _row(place: str, names: Sequence[str], words: Sequence[str], kind: type[Row]) -> Row:
    if len(words) != len(names):
        raise InputError(f"{place}: {len(words)} values; expected {len(names)}")
    return checked(place, dict(zip(names, words, strict=True)), kind, strict=False)
