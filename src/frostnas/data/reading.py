"""One rule for reading all pictures of a data set: black and white of deep ones, what is behind transparent ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from frostnas.artifacts import Reading
from frostnas.config import DataConfig
from frostnas.data.look import Look
from frostnas.data.walk import shown
from frostnas.errors import InputError
from frostnas.picture import from_levels

BITS = (1, 8, 10, 12, 14, 16, 24, 32)


def find_reading(looks: Sequence[Look], config: DataConfig) -> tuple[Reading, list[str]]:
    """The rule by the config and all pictures, and what is to be said of it."""
    red, green, blue = config.background
    reading = Reading((red, green, blue), _given_levels(config))
    deep = [look for look in looks if look.depth is not None]
    if deep and reading.levels is None:
        reading = replace(reading, levels=_found_levels(deep))
    return reading, reading_notes(looks, reading)


def known_reading(looks: Sequence[Look], known: Reading, config: DataConfig) -> tuple[Reading, list[str]]:
    """The rule of a trained network for other pictures; the config's levels where it learnt from none so deep.

    Raises:
        InputError: there are pictures deeper than 8 bits, and neither says what is black and white in them.
    """
    reading = known if known.levels is not None else replace(known, levels=_given_levels(config))
    deep = [look for look in looks if look.depth is not None]
    if deep and reading.levels is None:
        raise InputError(
            f"data.root={config.root}: {len(deep)} pictures are deeper than 8 bits, such as {shown(deep[0].path)}, and "
            "the network learnt from none of these; expected data.levels=[BLACK,WHITE], or pictures of 8 bits"
        )
    return reading, reading_notes(looks, reading)


def reading_notes(looks: Sequence[Look], reading: Reading) -> list[str]:
    """What was done to pictures that are not plain 8-bit ones, a sentence each."""
    notes = []
    deep = [(look.path, look.depth) for look in looks if look.depth is not None]
    if deep and reading.levels is not None:
        black, white = reading.levels
        notes.append(
            f"{len(deep)} of {len(looks)} pictures are deeper than 8 bits: black is {black:g} and white {white:g} in "
            "all of them (data.levels)"
        )
        lost = [path for path, depth in deep if depth.low < depth.high and _flat(depth.low, depth.high, reading.levels)]
        if lost:
            notes.append(f"of these {len(lost)} come out as a single grey, such as {shown(lost[0])}")
    clear = sum(look.transparent for look in looks)
    if clear:
        notes.append(
            f"{clear} of {len(looks)} pictures have transparent parts: behind them is "
            f"{list(reading.background)} (data.background)"
        )
    return notes


def _given_levels(config: DataConfig) -> tuple[float, float] | None:
    return (config.levels[0], config.levels[1]) if config.levels is not None else None


def _found_levels(deep: Sequence[Look]) -> tuple[float, float]:
    """Integers: 0 and the top of the fewest usual bits that hold them; floating point in 0..1: these; else extremes."""
    depths = [look.depth for look in deep if look.depth is not None]
    low, high = min(one.low for one in depths), max(one.high for one in depths)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and all(one.whole for one in depths):
        return 0.0, float(next((2**bits - 1 for bits in BITS if high < 2**bits), high))
    return low, max(high, low + 1)


def _flat(low: float, high: float, levels: tuple[float, float]) -> bool:
    ends = from_levels(np.array([[low, high]]), levels)
    return bool(ends[0, 0] == ends[0, 1])
