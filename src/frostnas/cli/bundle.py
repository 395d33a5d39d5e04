"""The way of a bundle: `frostnas profile-latency --out ZIP`, and `import RESULTS` when it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frostnas.artifacts import write_atomic
from frostnas.config import Config, TargetConfig, TargetName
from frostnas.config.compose import read_stored, to_yaml
from frostnas.errors import InputError

WRITTEN_WITH = "checkpoints/latency/bundle.yaml"  # in the run directory: the config that the bundle was written with


def on_its_way(config: Config, overrides: Sequence[str], out: str | None, results: Path | None) -> Config:
    """The config of `--out` or of `import`.

    Raises:
        InputError: both at once, or something that does not go with them.
    """
    if results is not None:
        if out is not None:
            raise InputError(f"--out {out}: expected nothing to import with it")
        return _imported(config, overrides, results)
    target = config.latency.target
    if target.name is TargetName.ssh:
        raise InputError(f"--out {out}: expected no latency/target=ssh with it")
    return _with_target(config, replace(target, name=TargetName.bundle, out=out or target.out))


def _imported(config: Config, overrides: Sequence[str], results: Path) -> Config:
    """The config that the bundle of ``config.run_dir`` was written with, now with its results."""
    other = [word for word in overrides if not word.startswith("run_dir=")]
    if other:
        raise InputError(f"import {results}: {other[0]}: expected run_dir= only; the rest is as in the bundle")
    path = Path(config.run_dir) / WRITTEN_WITH
    if not path.is_file():
        raise InputError(f"run_dir={config.run_dir}: no bundle was written from it; expected the bundle's run_dir=")
    if not results.is_file():
        raise InputError(f"import {results}: no such file; expected the results.json that the bundle's agent wrote")
    before = read_stored(path, Config)
    before.run_dir = config.run_dir
    return _with_target(before, replace(before.latency.target, results=str(results)))


def remember(config: Config, run_dir: Path) -> None:
    """Keep what the bundle was written with."""
    write_atomic(run_dir / WRITTEN_WITH, to_yaml(config).encode())


def _with_target(config: Config, target: TargetConfig) -> Config:
    return replace(config, latency=replace(config.latency, target=target))
