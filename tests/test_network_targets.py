"""Several targets from the command line: one supernet, a network per target on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from frostnas.artifacts import NetResult, Provenance, load, load_table, save, write_rows
from frostnas.engine import Workspace
from frostnas.pipeline import STAGES, Session
from tests.test_network_search import space_of, tiny_config
from tests.test_network_space import table_of


def test_every_other_target_gets_a_folder_with_a_network_within_its_budget(tmp_path: Path) -> None:
    space = space_of(tiny_config())
    for name, seed in (("latency.json", 0), ("board.json", 1)):
        table = table_of(space, seed)
        digest = write_rows((tmp_path / name).with_suffix(".csv"), table.rows)
        save(tmp_path / name, replace(table, rows=(), csv_sha256=digest), Provenance())
    others = f"budget.others=[{{table: {tmp_path / 'board.json'}, fraction: 0.7}}, {{fraction: 0.2}}]"
    config = tiny_config(others, f"run_dir={tmp_path}", "data.test_fraction=0.7", "block=frost", "target_cpu=test")
    with Workspace.open(tmp_path, quiet=True) as workspace:
        STAGES["search-net"].run(Session(config, workspace))
    for folder, name in ((".", "latency.json"), ("targets/2", "board.json"), ("targets/3", "latency.json")):
        result = load(tmp_path / folder / "net.json", NetResult).value
        predicted = load_table(tmp_path / name).predict_ms(result.net)
        assert 0.97 * result.budget_ms <= predicted <= result.budget_ms
        assert (tmp_path / folder / "pareto.csv").is_file()
        assert (tmp_path / folder / "pareto.svg").is_file()
