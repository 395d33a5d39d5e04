"""Where the Hydra groups are."""

from __future__ import annotations

from pathlib import Path

from frostnas.errors import InputError

CONFIG_NAME = "config"


def conf_dir() -> Path:
    """The Hydra groups: beside the package in an installed wheel, at the top of the repository otherwise.

    Raises:
        InputError: neither is there.
    """
    here = Path(__file__).resolve()
    for candidate in (here.parents[1] / "conf", here.parents[3] / "conf"):
        if (candidate / f"{CONFIG_NAME}.yaml").is_file():
            return candidate
    raise InputError(f"conf/{CONFIG_NAME}.yaml: not found beside the package; the installation is incomplete")
