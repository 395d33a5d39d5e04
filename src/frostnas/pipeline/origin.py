"""In what a result that is there was made from other things than the ones wanted now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from frostnas.artifacts import Provenance, sha256_of_value
from frostnas.config.identity import changes as config_changes
from frostnas.data.comparison import other_images


def identity_of(name: str, made: Provenance, beside: Collection[str] = ()) -> str:
    """One string for everything that the result of a stage depends on; equal strings go on with each other's work.

    Args:
        beside: keys of what is added to a result without changing it.
    """
    own = without(made, beside)
    return sha256_of_value([name, own.config, own.inputs, own.split, own.images])


def without(made: Provenance, keys: Collection[str]) -> Provenance:
    """The provenance without some config keys, and without the inputs of those names."""
    config = {group: _without(group, value, keys) for group, value in made.config.items()}
    return replace(made, config=config, inputs={name: sha for name, sha in made.inputs.items() if name not in keys})


def _without(key: str, value: Any, keys: Collection[str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without(f"{key}.{name}", one, keys) for name, one in value.items() if f"{key}.{name}" not in keys}


def changes(old: Provenance, new: Provenance) -> list[str]:
    """What differs, in words: config keys, then the images, then inputs."""
    settings = config_changes(old.config, new.config)
    found = list(settings.values())
    if not any(key.startswith("data.") for key in settings):  # they say it better than its consequences do
        found += other_images(old, new)
    names = sorted(old.inputs.keys() | new.inputs.keys())
    return found + [f"input {name}" for name in names if old.inputs.get(name) != new.inputs.get(name)]
