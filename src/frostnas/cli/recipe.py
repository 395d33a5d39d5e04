"""Weights of another project's network choose the recipe that is made for them, unless the user has chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frostnas.config import Config
from frostnas.config.compose import chosen, compose_config
from frostnas.nets import libraries, read_weights, zoo_names
from frostnas.pipeline.source import KEY

GROUP, DEFAULT, TRANSFER = "train", "digits", "transfer"


def with_recipe(config: Config, overrides: Sequence[str], config_dir: Path | None) -> Config:
    """``config``, or what `train=transfer` makes of the overrides that it was composed of.

    Raises:
        InputError: `train.weights` cannot be read, or the overrides do not go together with the recipe.
    """
    typed_in = any(word.partition("=")[0] == GROUP for word in overrides)
    if typed_in or not _foreign(config) or chosen(GROUP, overrides, config_dir) != DEFAULT:
        return config
    return compose_config([*overrides, f"{GROUP}={TRANSFER}"], config_dir)


def _foreign(config: Config) -> bool:
    """Whether training starts from weights that were trained elsewhere, for a task of their own."""
    given = config.train.weights
    if given is None or config.net not in zoo_names():
        return False
    return libraries.is_library(given) or read_weights(given, KEY).naming is not None
