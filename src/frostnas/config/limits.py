"""Limits as people write them: `45m`, `2h`, `90s` of time, `6GB`, `800MB` of memory."""

from __future__ import annotations

import re

from frostnas.errors import InputError

SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600}
BYTES = {"mb": 10**6, "mib": 2**20, "gb": 10**9, "gib": 2**30}
NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z%]*)")


def time_limit_s(text: str | None) -> float | None:
    """Seconds of `time_limit`; None for none."""
    return None if text is None else seconds_of("time_limit", text)


def seconds_of(key: str, text: str) -> float:
    """Seconds of a duration such as 45m.

    Raises:
        InputError: it is none.
    """
    return _parsed(key, text, SECONDS, "a duration such as 90s, 45m or 2h")


def bytes_of_limit(key: str, text: str, free: int | None) -> int | None:
    """Bytes of an amount such as 6GB, or of a share of what is ``free`` such as 80%; None where that is not known.

    Raises:
        InputError: it is neither.
    """
    accepted = "an amount such as 800MB or 6GB, or a share of what is free such as 80%"
    if text.endswith("%"):
        share = _parsed(key, text, {"%": 0.01}, accepted)
        if share > 1:
            raise InputError(f"{key}={text}: expected {accepted}")
        return int(share * free) if free is not None else None
    return int(_parsed(key, text, BYTES, accepted))


def _parsed(key: str, text: str, units: dict[str, int] | dict[str, float], accepted: str) -> float:
    matched = NUMBER.fullmatch(text.strip())
    unit = matched and units.get(matched[2].lower())
    if not matched or not unit or float(matched[1]) <= 0:
        raise InputError(f"{key}={text}: expected {accepted}")
    return float(matched[1]) * unit
