"""`frostnas zoo`: the named networks and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from frostnas.artifacts import load_table
from frostnas.cli.of_run import keys_of
from frostnas.cli.outcome import Outcome
from frostnas.config import Config
from frostnas.nets import count, zoo_entries
from frostnas.report.grids import ZooRow, zoo_grid
from frostnas.report.tables import view

PUBLISHED = 224  # pixels


def zoo(config: Config, overrides: Sequence[str]) -> Outcome:
    """List the named networks; `table=` adds predicted latencies, which need the table's workloads.

    They are counted at `data.image_size` where the command line gives it or a data set, else as published.
    """
    size = config.data.side if {"data", "experiment", "data.image_size"} & set(keys_of(overrides)) else PUBLISHED
    table = load_table(Path(config.table)) if config.table else None
    rows = []
    for entry in zoo_entries():
        spec = entry.spec(classes=1000, image_size=size)
        counts = count(spec)
        latency_ms = table.predict_ms(spec) if table is not None and table.covers(spec) else None
        rows.append(ZooRow(entry.name, entry.family, entry.width, counts.parameters, counts.macs, latency_ms))
    return Outcome([asdict(row) for row in rows], view(zoo_grid(rows, size)))
