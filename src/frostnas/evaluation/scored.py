"""Which images an exported file is scored on: those that its training held out, or data that the user names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frostnas.artifacts import ExportReport, ImageFormat, SplitRecord, TrainResult, load, sha256_of
from frostnas.config import DataConfig
from frostnas.config.compose import read_stored
from frostnas.config.data import NO_FOLDER
from frostnas.config.yaml_files import SETTINGS
from frostnas.data.held_out import HeldOut, held_out
from frostnas.data.identity import TEST, held_out_changes
from frostnas.errors import InputError

TRAIN, EXPORT = "train.json", "export.json"  # in the run directory


@dataclass(frozen=True)
class Scored:
    """Images, how they are read, and what there is to say of them."""

    pictures: HeldOut
    config: DataConfig
    part: str


def to_score(
    config: DataConfig, folder: Path, expected: ImageFormat, *, others: bool = True, share: bool = False
) -> Scored:
    """The images for a file that lies in ``folder``.

    With the `train.json` of a run there they are its own test split, or those of ``others``: the test split where there
    is one, else all. Without a `train.json` nothing is known of the training: the data are split as the config says.

    Args:
        expected: what the file was trained with.
        others: whether the config names data that need not be the run's.
        share: of others that have no test split take what `data.test_fraction` holds out.

    Raises:
        InputError: the run's own data have changed, or cannot be read.
    """
    if not (folder / TRAIN).is_file():
        given = held_out(config, expected)
        return Scored(given, config, _words(given, config))
    split = load(folder / TRAIN, TrainResult).value.split
    own = replace(config, split_seed=split.seed, test_fraction=split.test_fraction or config.test_fraction)
    given = held_out(own, expected)
    changed = _changes(split, given, own)
    if not changed:
        return Scored(given, own, "the run's own test split")
    if not others or _same_place(folder, config):
        raise InputError(
            f"{_place(config)}: are not the images that {folder / TRAIN} was made with: {'; '.join(changed)}; "
            "expected the same, or data= with other ones to score"
        )
    given = held_out(config, expected) if share else replace(given, indices=np.arange(len(given.labels)))
    return Scored(given, config, f"{_words(given, config)}, other data than the run's")


def check_exported(file: Path) -> None:
    """Raise InputError if the file is not the one that the `export.json` beside it speaks of."""
    report = file.with_name(EXPORT)
    if report.is_file() and file.is_file():
        digest = load(report, ExportReport).files.get(file.name)
        if digest not in (None, sha256_of(file)):
            raise InputError(f"{file}: is not the file that its {EXPORT} was written with; export again")


def _changes(split: SplitRecord, given: HeldOut, config: DataConfig) -> list[str]:
    if split.data != config.name.value:
        return [f"data {split.data}, now {config.name.value}"]
    changed = held_out_changes(split, given.images)
    a_share = len(given.indices) < len(given.labels)
    if not changed and a_share and tuple(given.indices.tolist()) != split.test_indices:
        changed = ["other images are held out to test"]
    return changed


def _same_place(folder: Path, config: DataConfig) -> bool:
    """Whether the data lie where the run's own did: then they are the run's, changed."""
    path = folder / SETTINGS
    if not path.is_file():
        return False
    own = read_stored(path, DataConfig, "data")
    roots = [Path(one.root).expanduser().resolve() for one in (own, config)]
    return own.name is config.name and roots[0] == roots[1]


def _place(config: DataConfig) -> str:
    return f"data={config.name.value}" + ("" if config.name in NO_FOLDER else f" data.root={config.root}")


def _words(given: HeldOut, config: DataConfig) -> str:
    number, total = len(given.indices), sum(one.images for one in given.images)
    if number < total:
        return f"{number} of {total} images of {_place(config)}, held out by data.test_fraction={config.test_fraction}"
    return f"{'the test split' if given.images[0].part == TEST else 'all'} of {_place(config)}"
