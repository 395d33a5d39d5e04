"""Text that others wrote, such as names of files and classes, as it may be shown: nothing in it steers the terminal."""

from __future__ import annotations

import logging
import unicodedata
from typing import Any

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode categories: control, format, surrogates, line separators
JOINERS = "‌‍"  # of the Cf, those that spell words and emoji


def readable(text: str) -> str:
    """``text`` in one line, with control characters, and bytes that were no UTF-8, as Python would write them."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if _harmless(one) else _escaped(one) for one in text)


def _harmless(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character) not in HIDDEN


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8, as Python carries it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode()


def cell(text: str) -> str:
    """A name as a cell of a CSV file: readable, and never what a spreadsheet takes for a formula."""
    shown = readable(text)
    return f"'{shown}" if shown[:1] in "=@+-" and not _number(shown) else shown


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text
    return True


def encodable(value: Any) -> Any:
    """Plain JSON values with every string that UTF-8 cannot hold made readable; JSON escapes control characters."""
    match value:
        case str():
            return value if is_utf8(value) else readable(value)
        case dict():
            return {encodable(key): encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [encodable(item) for item in value]
        case _:
            return value


def is_utf8(text: str) -> bool:
    """Whether a text can be stored; a file name of other bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class ReadableFormatter(logging.Formatter):
    """Log lines whose message is `readable`; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = readable(record.message)
        return super().formatMessage(record)
