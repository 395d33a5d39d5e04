"""`frostnas zoo`: the named networks and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from frostnas.artifacts import load_table
from frostnas.cli.outcome import Outcome
from frostnas.config import Config
from frostnas.nets import count, zoo_entries
from frostnas.report.grids import ZooRow, zoo_grid
from frostnas.report.tables import view


def zoo(config: Config) -> Outcome:
    """List the named networks; `table=` adds predicted latencies, which need the table's workloads."""
    table = load_table(Path(config.table)) if config.table else None
    rows = []
    for entry in zoo_entries():
        spec = entry.spec(classes=1000, image_size=224)
        counts = count(spec)
        latency_ms = table.predict_ms(spec) if table is not None and table.covers(spec) else None
        rows.append(ZooRow(entry.name, entry.family, entry.width, counts.parameters, counts.macs, latency_ms))
    return Outcome([asdict(row) for row in rows], view(zoo_grid(rows)))
