"""What a command on an existing run takes from that run, where the command line names none: its data and its board."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from frostnas.config import Config, DataConfig, LatencyConfig, TargetName
from frostnas.config.compose import read_stored
from frostnas.config.yaml_files import SETTINGS

SIGNS = ("frostnas.log", "train.json")  # of a run: other folders may have a config.yaml too
NAMES_DATA = ("data", "experiment")


def run_of(config: Config, path: Path | None) -> Path:
    """The run directory that a command speaks of: that of ``path``, a run or a file in one, else `run_dir`."""
    if path is None:
        return Path(config.run_dir)
    return path if path.is_dir() else path.parent


def keys_of(overrides: Sequence[str]) -> list[str]:
    """The keys that the command line gives."""
    return [word.lstrip("+~").partition("=")[0] for word in overrides]


def names_data(overrides: Sequence[str]) -> bool:
    """Whether the command line names a data set or where it lies."""
    return any(key in (*NAMES_DATA, "data.name", "data.root") for key in keys_of(overrides))


def with_data_of_run(config: Config, overrides: Sequence[str], run_dir: Path) -> Config:
    """The config with the data of the run, and with what the command line says of single keys of it.

    With them go `parent` and `space.resolutions`, which say how large and how normalised the pictures are.
    As it is where there is no run yet, or where the command line has `data=` or `experiment=`.

    Raises:
        InputError: the run's settings cannot be read.
    """
    keys = keys_of(overrides)
    if not _is_run(run_dir) or any(key in NAMES_DATA for key in keys):
        return config
    data, stored = read_stored(run_dir / SETTINGS, DataConfig, "data"), read_stored(run_dir / SETTINGS, Config)
    parent, sizes = stored.parent, stored.space.resolutions
    for key in keys:
        if key.startswith("data."):
            _copy(config.data, data, key.split(".")[1:])
        if key.startswith("parent."):
            _copy(config.parent, parent, key.split(".")[1:])
        if key == "space.resolutions":
            sizes = config.space.resolutions
    return replace(config, data=data, parent=parent, space=replace(config.space, resolutions=sizes))


def with_board_of_run(config: Config, overrides: Sequence[str], run_dir: Path) -> Config:
    """The config with the machine behind ssh that the run is measured on, unless the command line names one.

    Raises:
        InputError: the run's settings cannot be read.
    """
    if not _is_run(run_dir) or any(key == "host" or key.startswith("latency/target") for key in keys_of(overrides)):
        return config
    latency = read_stored(run_dir / SETTINGS, LatencyConfig, "latency")
    if latency.target.name is not TargetName.ssh:
        return config
    return replace(config, latency=replace(config.latency, target=latency.target))


def _is_run(folder: Path) -> bool:
    return (folder / SETTINGS).is_file() and any((folder / name).is_file() for name in SIGNS)


def _copy(source: Any, target: Any, names: Sequence[str]) -> None:
    for name in names[:-1]:
        source, target = getattr(source, name), getattr(target, name)
    setattr(target, names[-1], deepcopy(getattr(source, names[-1])))
