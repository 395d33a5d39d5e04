"""Packages that only some settings need, installed as extras."""

from __future__ import annotations

from importlib.util import find_spec

from frostnas.errors import InputError

PACKAGES = {"tflite": "litert_torch"}
"""Extra -> the package that it stands for, where that has another name."""


def need(extra: str, given: str) -> None:
    """Raise unless the package of ``extra`` is installed.

    Args:
        given: the setting that asks for it, as KEY=VALUE.

    Raises:
        InputError: it is not; it names the command that installs it.
    """
    if find_spec(PACKAGES.get(extra, extra)) is None:
        raise InputError(f"{given}: is not installed; `pip install 'frostnas[{extra}]'` brings it")
