"""`frostnas report`: a run as one HTML file, or several side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from frostnas.artifacts import (
    EARLY,
    BlockResult,
    ExportReport,
    Inspection,
    LadderResult,
    LatencyTable,
    NetResult,
    Plan,
    Provenance,
    Stored,
    TrainResult,
    damage,
    load,
    load_table,
    sha256_of,
    write_atomic,
)
from frostnas.cli.outcome import Outcome, writing
from frostnas.config import Config
from frostnas.config.yaml_files import LARGEST_YAML, SETTINGS, check_yaml
from frostnas.data.comparison import other_images
from frostnas.data.identity import changes
from frostnas.deploy.runtime import INT8_NAME
from frostnas.errors import InputError
from frostnas.readable import readable
from frostnas.report.comparison import settings_grid
from frostnas.report.grids import First, RunSummary
from frostnas.report.page import comparison_page, page
from frostnas.report.reported import Reported

KINDS = (BlockResult, LatencyTable, NetResult, TrainResult, ExportReport, LadderResult)
TRAINED = f"{TrainResult.KIND}.json"
NAME, SEVERAL = "report.html", "comparison.html"


def report(config: Config, paths: Sequence[Path], out: Path | None = None) -> Outcome:
    """Write what stages have left so far: one run's `report.html` into it, `comparison.html` of several above them.

    Args:
        out: the folder to write into instead.

    Raises:
        InputError: a folder holds no artifact, or one that cannot be read; one is named twice.
    """
    folders = list(paths) or [Path(config.run_dir)]
    if len(folders) == 1:
        one, _ = _reported(folders[0], folders[0].name)
        target = (out or folders[0]) / NAME
        text = page(one)
    else:
        target = (out or _above(folders)) / SEVERAL
        text = _compared(folders)
    with writing(target.parent):
        write_atomic(target, text.encode(errors="backslashreplace"))
    return Outcome({"report": str(target)}, Text(f"wrote {readable(str(target))}", no_wrap=True, overflow="ignore"))


def _compared(folders: Sequence[Path]) -> str:
    above = _above(folders)
    read = [_reported(folder, os.path.relpath(folder, above)) for folder in folders]
    runs = [one for one, _ in read]
    names = [one.name for one in runs]
    settings = settings_grid(names, [_plain(folder / SETTINGS) for folder in folders])
    return comparison_page(runs, _incomparable(runs, [split for _, split in read]), settings)


def _above(folders: Sequence[Path]) -> Path:
    """The folder that all of them lie in."""
    resolved = [folder.resolve() for folder in folders]
    for folder, one in zip(folders, resolved, strict=True):
        if resolved.count(one) > 1:
            raise InputError(f"{folder}: named twice; expected different runs")
    return Path(os.path.commonpath([one.parent for one in resolved]))


def _reported(folder: Path, name: str) -> tuple[Reported, Provenance]:
    """A run, and what its training was made from."""
    stored = {kind.KIND: load(file, kind) for kind in KINDS if (file := folder / f"{kind.KIND}.json").exists()}
    if not stored:
        raise InputError(f"{folder}: holds no artifact of a run; expected {KINDS[0].KIND}.json or a later one")
    values: dict[str, Any] = {kind: one.value for kind, one in stored.items()}
    if LatencyTable.KIND in values:
        values[LatencyTable.KIND] = load_table(folder / f"{LatencyTable.KIND}.json")
    doubts, settings = tuple(_doubts(folder, stored)), _settings(folder / SETTINGS)
    run = RunSummary(**values, first=_first(folder, stored.get(ExportReport.KIND)))
    planned = folder / f"{Plan.KIND}.json"
    plan = load(planned, Plan).value if planned.is_file() else None
    one = Reported(name, folder, run, doubts, settings, _inspection(folder), plan)
    made = stored.get(TrainResult.KIND) or stored.get(LadderResult.KIND)
    return one, made.provenance if made is not None else Provenance()


def _first(folder: Path, export: Stored[Any] | None) -> First | None:
    """The network that a run with a time limit trained first, and whether the files are of it."""
    path = folder / EARLY / TRAINED
    if not path.is_file():
        return None
    return First(
        load(path, TrainResult).value, export is None or export.provenance.inputs.get(TRAINED) == sha256_of(path)
    )


def _incomparable(runs: Sequence[Reported], made: Sequence[Provenance]) -> list[str]:
    """Runs whose accuracies are of other images than the first one's, or whose latencies are of another CPU."""
    found = []
    pairs = [(one, split.split) for one, split in zip(runs, made, strict=True) if split.split is not None]
    for other, split in pairs[1:]:
        first, expected = pairs[0]
        assert split is not None and expected is not None
        if differs := changes(expected, split):
            found.append(
                f"{other.name}: its accuracy is of other images than that of {first.name} ({'; '.join(differs)})"
            )
    measured = [(one.name, cpu) for one in runs if (cpu := one.run.cpu)]
    for name, cpu in measured[1:]:
        if cpu != measured[0][1]:
            found.append(f"{name}: its latencies are of {cpu}, those of {measured[0][0]} of {measured[0][1]}")
    return found


def _plain(path: Path) -> dict[str, Any]:
    """The run's config as plain values; none where there is none.

    Raises:
        InputError: it cannot be read.
    """
    if not path.is_file():
        return {}
    check_yaml(path)
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # tags, dates that are none
        raise InputError(f"{path}: is not a config that frostnas wrote ({str(error).splitlines()[0]})") from None
    return found if isinstance(found, dict) else {}


def _settings(path: Path) -> str:
    """The run's config for the page; whatever lies there, never more than a config is long."""
    if not path.is_file():
        return ""
    if path.stat().st_size > LARGEST_YAML:
        return f"not shown: {path.stat().st_size:,} bytes; a config has fewer than {LARGEST_YAML:,}"
    return path.read_text(encoding="utf-8", errors="backslashreplace")


def _inspection(folder: Path) -> Inspection | None:
    """What the export saw, if it is that of the file that lies here."""
    path, model = folder / f"{Inspection.KIND}.json", folder / INT8_NAME
    if not path.is_file() or not model.is_file():
        return None
    stored = load(path, Inspection)
    return stored.value if stored.provenance.inputs.get(INT8_NAME) == sha256_of(model) else None


def _doubts(folder: Path, stored: dict[str, Stored[Any]]) -> list[str]:
    """Artifacts whose files are damaged, or that were made from other files or images than those beside them."""
    damaged = [f"{kind}.json: {said}" for kind, one in stored.items() for said in damage(folder, one.files)]
    others = [
        f"{later}.json was made with other {said} than {kind}.json"
        for (kind, one), (later, two) in combinations(stored.items(), 2)
        for said in other_images(one.provenance, two.provenance)
    ]
    return damaged + others + _stale(folder, stored)


def _stale(folder: Path, stored: dict[str, Stored[Any]]) -> list[str]:
    """Artifacts that were made from other files than those that lie beside them now."""
    found = []
    for kind, one in stored.items():
        for name, digest in one.provenance.inputs.items():
            here = {sha256_of(path) for path in (folder / name, folder / EARLY / name) if path.is_file()}
            if (folder / name).is_file() and digest not in here:
                found.append(f"{kind}.json was made from another {name} than the one here")
    return found
