"""Packages that only some settings need, installed as extras of the same name."""

from __future__ import annotations

from importlib.util import find_spec

from frostnas.errors import InputError


def need(package: str, given: str) -> None:
    """Raise unless ``package`` is installed.

    Args:
        given: the setting that asks for it, as KEY=VALUE.

    Raises:
        InputError: it is not; it names the command that installs it.
    """
    if find_spec(package) is None:
        raise InputError(f"{given}: is not installed; `pip install 'frostnas[{package}]'` brings it")
