"""`frostnas report`: a run as one HTML file."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

from rich.text import Text

from frostnas.artifacts import (
    BlockResult,
    ExportReport,
    LatencyTable,
    NetResult,
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
from frostnas.config.yaml_files import LARGEST_YAML
from frostnas.data.comparison import other_images
from frostnas.errors import InputError
from frostnas.readable import readable
from frostnas.report.grids import RunSummary
from frostnas.report.page import page

KINDS = (BlockResult, LatencyTable, NetResult, TrainResult, ExportReport)
NAME = "report.html"


def report(config: Config, path: Path | None, out: Path | None = None) -> Outcome:
    """Write the run's `report.html`, into ``out`` or else the run, from what its stages have left so far.

    Raises:
        InputError: the folder holds no artifact, or one that cannot be read.
    """
    folder = path or Path(config.run_dir)
    stored = {kind.KIND: load(file, kind) for kind in KINDS if (file := folder / f"{kind.KIND}.json").is_file()}
    if not stored:
        raise InputError(f"{folder}: holds no artifact of a run; expected {KINDS[0].KIND}.json or a later one")
    values: dict[str, Any] = {kind: one.value for kind, one in stored.items()}
    if LatencyTable.KIND in values:
        values[LatencyTable.KIND] = load_table(folder / f"{LatencyTable.KIND}.json")
    target = (out or folder) / NAME
    content = page(RunSummary(**values), folder, _doubts(folder, stored), _settings(folder / "config.yaml")).encode(
        errors="backslashreplace"
    )
    with writing(target.parent):
        write_atomic(target, content)
    return Outcome({"report": str(target)}, Text(f"wrote {readable(str(target))}", no_wrap=True, overflow="ignore"))


def _settings(path: Path) -> str:
    """The run's config for the page; whatever lies there, never more than a config is long."""
    if not path.is_file():
        return ""
    if path.stat().st_size > LARGEST_YAML:
        return f"not shown: {path.stat().st_size:,} bytes; a config has fewer than {LARGEST_YAML:,}"
    return path.read_text(encoding="utf-8", errors="backslashreplace")


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
    return [
        f"{kind}.json was made from another {name} than the one here"
        for kind, one in stored.items()
        for name, digest in one.provenance.inputs.items()
        if (folder / name).is_file() and sha256_of(folder / name) != digest
    ]
