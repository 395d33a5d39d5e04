"""Config fields that state their own limits and whether results depend on them, and the walk that checks them."""

from __future__ import annotations

from dataclasses import Field, field, fields, is_dataclass
from math import isfinite
from typing import Any

from frostnas.errors import InputError


def bounded(default: Any, low: float | None = None, high: float | None = None, *, matters: bool = True) -> Any:
    """A number with inclusive limits; None passes where the type is optional.

    Args:
        matters: whether results depend on it.
    """
    return field(default=default, metadata={"low": low, "high": high, "matters": matters})


def chosen(default: Any, *accepted: Any) -> Any:
    """A value, or a list of values, out of a fixed set."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"accepted": accepted})
    return field(default=default, metadata={"accepted": accepted})


def listed(*default: Any) -> Any:
    """A list with its default."""
    return field(default_factory=lambda: list(default))


def place(default: Any) -> Any:
    """A value that says where something is or how it is reached, not what comes out.

    What a path leads to is hashed as an input of the stage that reads it.
    """
    return field(default=default, metadata={"matters": False})


def matters(item: Field[Any]) -> bool:
    """Whether results depend on a field; they do unless it says otherwise."""
    return bool(item.metadata.get("matters", True))


def check(config: Any, prefix: str = "") -> None:
    """Check every field of a config dataclass and of those inside it.

    Raises:
        InputError: the first value outside its limits, with its full key.
    """
    for item in fields(config):
        key, value = f"{prefix}{item.name}", getattr(config, item.name)
        if is_dataclass(value):
            check(value, f"{key}.")
        elif value is not None:
            _check_value(key, value, item.metadata)


def _check_value(key: str, value: Any, limits: Any) -> None:
    if any(isinstance(one, float) and not isfinite(one) for one in (value if isinstance(value, list) else [value])):
        raise InputError(f"{key}={value}: expected a finite number")
    low, high = limits.get("low"), limits.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        wanted = (
            f"{low} to {high}" if None not in (low, high) else f"at least {low}" if high is None else f"at most {high}"
        )
        raise InputError(f"{key}={value}: expected {wanted}")
    accepted = limits.get("accepted")
    if accepted:
        for one in value if isinstance(value, list) else [value]:
            if one not in accepted:
                raise InputError(f"{key}={one}: expected one of {', '.join(map(str, accepted))}")
