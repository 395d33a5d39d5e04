"""Checks of `space.network` that one field alone cannot make."""

from __future__ import annotations

from collections.abc import Sequence

from frostnas.config import NetworkSpaceConfig
from frostnas.errors import InputError


def check_skeleton(config: NetworkSpaceConfig) -> None:
    """Refuse a skeleton that makes no network.

    Raises:
        InputError: lists of unequal length or empty, or a value out of range.
    """
    stages = len(config.widths)
    for key in ("widths", "depths", "strides"):
        values: list[int] = getattr(config, key)
        if not values or len(values) != stages:
            raise InputError(f"space.network.{key}={values}: expected one per stage, as many as widths ({stages})")
    _each("widths", config.widths, 8, 4096)
    _each("depths", config.depths, 1, 64)
    _each("strides", config.strides, 1, 4)
    _each("kernels", config.kernels, 3, 7)
    _each("expands", config.expands, 1, 16)
    _each("squeezes", config.squeezes, 1, 64)
    _each("width_factors", config.width_factors, 0.1, 4)
    for kernel in config.kernels:
        if kernel % 2 == 0:
            raise InputError(f"space.network.kernels={config.kernels}: expected some of 3, 5, 7")


def _each(key: str, values: Sequence[float], low: float, high: float) -> None:
    if not values or not all(low <= value <= high for value in values):
        raise InputError(f"space.network.{key}={values}: expected one or more numbers from {low} to {high}")
