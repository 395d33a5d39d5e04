"""What of a config a result depends on: every field but those that are declared to make no difference."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from frostnas.config.fields import matters


def what_matters(value: Any) -> Any:
    """A config, a part of one or a single value as plain dicts, lists and values, enums by name."""
    if is_dataclass(value):
        return {item.name: what_matters(getattr(value, item.name)) for item in fields(value) if matters(item)}
    if isinstance(value, list):
        return [what_matters(one) for one in value]
    return value.name if isinstance(value, Enum) else value


def part(config: Any, key: str) -> Any:
    """`what_matters` of the group or value under a dotted key."""
    for name in key.split("."):
        config = getattr(config, name)
    return what_matters(config)


def changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Keys that differ, each as `key (old, now new)`; a key that only one side has counts."""
    found: dict[str, str] = {}
    for name in [*new, *(name for name in old if name not in new)]:
        key, before, after = f"{prefix}{name}", old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found |= changes(before, after, f"{key}.")
        elif before != after:
            found[key] = f"{key} ({before}, now {after})"
    return found
