"""Words of the command line before Hydra reads them: text and paths need no quotes of Hydra's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.override_parser.types import Quote, QuotedString

from frostnas.config.schema import Config
from frostnas.errors import InputError
from frostnas.readable import is_utf8

ELSEWHERE = ("latency.target.folder", "latency.target.python")  # paths of another machine, with a ~ of its own
SWEEP = re.compile(r",|^(choice|range|interval|glob|sort|shuffle|tag)\(")  # what -m may make several values of


def for_hydra(words: Sequence[str], sweep: bool = False) -> list[str]:
    """Overrides as Hydra's grammar takes them: the values of text keys are put in its quotes, and their ~ is expanded.

    A value that is in quotes already, `null` where a key may be that, and with ``sweep`` what stands for several
    values are Hydra's affair. A value that names something on the disk is that path in any case.

    Raises:
        InputError: a word that is not UTF-8, or has no key.
    """
    return [_for_hydra(word, sweep) for word in words]


def _for_hydra(word: str, sweep: bool) -> str:
    if not is_utf8(word):
        raise InputError(f"{word}: not UTF-8, which configs and artifacts are; expected another name")
    key, equals, value = word.partition("=")
    if equals and not key.strip("+ "):
        raise InputError(f"{word}: expected KEY=VALUE")
    name = key.lstrip("+")
    if not equals or name not in TEXT:
        return word
    path = value if name in ELSEWHERE else _expanded(value)
    if not _exists(path):
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        if quoted or (value == "null" and TEXT[name]) or (sweep and SWEEP.search(value)):
            return word
    return f"{key}={QuotedString(path, Quote.single).with_quotes()}"


def _expanded(value: str) -> str:
    try:
        return str(Path(value).expanduser()) if value.startswith("~") else value
    except RuntimeError:  # no such user
        return value


def _exists(value: str) -> bool:
    try:
        return bool(value) and Path(value).exists()
    except (OSError, ValueError):  # longer than a name can be, or with a zero byte
        return False


def _text_keys(kind: type[Any] = Config, prefix: str = "") -> Iterator[tuple[str, bool]]:
    hints = get_type_hints(kind)
    for item in fields(kind):
        hint = hints[item.name]
        if is_dataclass(hint):
            yield from _text_keys(hint, f"{prefix}{item.name}.")  # type: ignore[arg-type]
        elif hint in (str, str | None):
            yield f"{prefix}{item.name}", hint is not str


TEXT = dict(_text_keys())
"""Keys whose value is text, and whether it may be null."""
