"""Several targets from the command line: one supernet, a network per target on disk."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

from frostnas.artifacts import NetResult, Provenance, load, load_table, save, write_rows
from frostnas.engine import Workspace
from frostnas.errors import InputError
from frostnas.latency import target_host
from frostnas.pipeline import STAGES, Session
from tests.search_parts import space_of, table_of, tiny_config


def put_table(path: Path, seed: int = 0) -> None:
    table = table_of(space_of(tiny_config()), seed)
    digest = write_rows(path.with_suffix(".csv"), table.rows)
    save(path, replace(table, rows=(), csv_sha256=digest), Provenance())


@pytest.mark.slow
def test_every_other_target_gets_a_folder_with_a_network_within_its_budget(tmp_path: Path) -> None:
    put_table(tmp_path / "latency.json")
    put_table(tmp_path / "board.json", seed=1)
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


def put_own_table(path: Path) -> None:
    """A table as if this machine had been measured."""
    put_table(path)
    table = load_table(path)
    protocol = replace(table.protocol, runtime_version=version("onnxruntime"))
    host = target_host(tiny_config().latency)
    save(path, replace(table, rows=(), host=host, protocol=protocol), Provenance())


@pytest.mark.slow
def test_named_networks_are_trained_alone_and_measured_for_the_plot(tmp_path: Path) -> None:
    put_own_table(tmp_path / "latency.json")
    keys = ["search_net.baselines=[frostnet_small_0_35]", "data.test_fraction=0.8", "block=frost", "latency.rounds=2"]
    config = tiny_config(*keys, "search_net.float_epochs=0", "search_net.epochs=1", f"run_dir={tmp_path}")
    with Workspace.open(tmp_path, quiet=True) as workspace:
        result = STAGES["search-net"].run(Session(config, workspace))
    rows = pd.read_csv(tmp_path / "pareto.csv")
    alone = rows[rows.alone]
    assert isinstance(result, NetResult)
    assert list(alone.network) == [result.net.name, "frostnet_small_0_35"]
    assert (alone.latency_ms > 0).all() and alone.measured.all()
    assert not (alone.on_front | alone.picked).any()
    assert rows.picked.sum() == 1


def test_an_unknown_baseline_is_refused_before_any_training(tmp_path: Path) -> None:
    put_own_table(tmp_path / "latency.json")
    config = tiny_config("search_net.baselines=[nonet]", "block=frost", f"run_dir={tmp_path}")
    with Workspace.open(tmp_path, quiet=True) as workspace, pytest.raises(InputError, match="baselines: nonet"):
        STAGES["search-net"].run(Session(config, workspace))
    assert not list(tmp_path.rglob("*.pt"))


def test_baselines_of_a_machine_that_is_not_here_are_refused(tmp_path: Path) -> None:
    put_table(tmp_path / "latency.json")
    keys = ["search_net.baselines=[ghostnet]", "block=frost", "target_cpu=test", f"run_dir={tmp_path}"]
    with Workspace.open(tmp_path, quiet=True) as workspace, pytest.raises(InputError, match="another machine"):
        STAGES["search-net"].run(Session(tiny_config(*keys), workspace))
