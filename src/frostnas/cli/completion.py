"""Shell completion of KEY=VALUE: config keys, groups and their choices, found in the config itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any


def complete_override(incomplete: str) -> list[str]:
    """Words that may stand where ``incomplete`` is being typed."""
    return sorted(word for word in _words(incomplete) if word.startswith(incomplete))


def _words(incomplete: str) -> Iterator[str]:
    from frostnas.config.groups import conf_dir

    root = conf_dir()
    key, equals, _ = incomplete.partition("=")
    if not equals:
        yield from (f"{group}=" for group in _groups(root))
        yield from (f"{name}=" for name, _ in _keys())
    elif (root / key).is_dir():
        yield from (f"{key}={choice.stem}" for choice in (root / key).glob("*.yaml"))
    else:
        yield from (f"{key}={choice}" for name, value in _keys() if name == key for choice in _choices(value))


def _groups(root: Path) -> Iterator[str]:
    for folder in sorted(root.rglob("*/")):
        if any(folder.glob("*.yaml")):
            yield folder.relative_to(root).as_posix()


def _keys(config: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    from frostnas.config import Config

    config = config or Config()
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from _keys(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value


def _choices(value: Any) -> list[str]:
    if isinstance(value, bool):
        return ["true", "false"]
    return [member.name for member in type(value)] if isinstance(value, Enum) else []
