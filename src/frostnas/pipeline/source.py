"""What the weights that a run starts from ask of it: their padding, their batch norm, and how pixels are normalised."""

from __future__ import annotations

from dataclasses import replace

from frostnas.artifacts import Normalisation
from frostnas.config import Config
from frostnas.data.loaders import given_normalisation
from frostnas.nets import Weights, read_weights, zoo_family, zoo_names, zoo_spec
from frostnas.pipeline.parent import read_parent

KEY = "train.weights"


def read_start(config: Config) -> Weights | None:
    """`train.weights`; None where it is not given.

    Raises:
        InputError: they cannot be read.
    """
    return read_weights(config.train.weights, KEY) if config.train.weights is not None else None


def with_normalisation(config: Config) -> Config:
    """``config`` with `data.mean` and `data.std` of the weights that training starts from, unless it has its own.

    Raises:
        InputError: the weights cannot be read, or half a normalisation is given.
    """
    given, own = given_normalisation("data", config.data.mean, config.data.std), _own(config)
    if given is not None or own is None:
        return config
    return replace(config, data=replace(config.data, mean=list(own.mean), std=list(own.std)))


def other_normalisation(config: Config) -> str | None:
    """In words, that the images are normalised otherwise than those that the weights were trained on."""
    given, own = given_normalisation("data", config.data.mean, config.data.std), _own(config)
    if given is None or own is None or given == own:
        return None
    return (
        f"data.mean={list(given.mean)}, data.std={list(given.std)}, but {KEY}={config.train.weights} was trained with "
        f"{list(own.mean)} and {list(own.std)}"
    )


def _own(config: Config) -> Normalisation | None:
    """What the weights expect, as far as they and `net` say."""
    if config.net not in zoo_names() and (parent := read_parent(config.parent)) is not None:
        return parent.normalisation
    if config.train.weights is None:
        return None
    family = zoo_family(zoo_spec(config.net)) if config.net in zoo_names() else ""
    weights = read_start(config)
    source = weights.source(family) if weights else None
    return source.normalisation if source else None
