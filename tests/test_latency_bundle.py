"""A latency table from a machine that only a zip can reach, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from frostnas.artifacts import load_table
from frostnas.cli import app
from tests.tiny import TINY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a bundle was written from `run`, and measured."""
    here = tmp_path_factory.mktemp("bundle")
    run_dir, bundle = f"run_dir={here / 'run'}", here / "to carry.zip"
    done = CliRunner().invoke(app, ["profile-latency", run_dir, *TINY, "--out", str(bundle), "--json", "-q"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"bundle": str(bundle)}
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(here / "elsewhere")
    agent = here / "elsewhere" / "frostnas-latency" / "agent.py"
    measured = subprocess.run([sys.executable, agent], cwd="/", capture_output=True, text=True, check=True)
    assert "agent: round 2 of 2" in measured.stdout
    return here


@pytest.fixture
def results(folder: Path) -> Path:
    return folder / "elsewhere" / "frostnas-latency" / "results.json"


def imported(results: Path, run_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["profile-latency", "import", str(results), f"run_dir={run_dir}", "-q", *words])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:-100], "is not a whole results.json"),
        (lambda text: text.replace('"emulated": false', '"emulated": true'), "was changed after the agent wrote it"),
        (lambda text: text.replace('"manifest_sha256": "', '"manifest_sha256": "0'), "other models or settings"),
    ],
)
def test_a_results_file_that_is_not_the_bundles_is_refused(
    change: Callable[[str], str], said: str, results: Path, folder: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "results.json"
    changed.write_text(change(results.read_text()))
    done = imported(changed, folder / "run")
    assert done.exit_code == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not (folder / "run" / "latency.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=1"], "seed=1: expected run_dir= only"),
        (["run_dir=other"], "run_dir=other: no bundle was written from it"),
        (["--out", "x.zip"], "--out x.zip: expected nothing to import with it"),
        (["-m"], "--multirun: expected neither"),
    ],
)
def test_an_import_takes_everything_else_from_the_bundle(
    words: list[str], said: str, results: Path, folder: Path
) -> None:
    done = imported(results, folder / "run", *words)
    assert done.exit_code == 2
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_what_came_back_makes_the_table(results: Path, folder: Path) -> None:
    done = imported(results, folder / "run")
    assert done.exit_code == 0, done.output
    table = load_table(folder / "run" / "latency.json")
    assert table.target == "bundle" and len(table.rows) > 5
    again = CliRunner().invoke(
        app,
        ["profile-latency", f"run_dir={folder / 'run'}", *TINY, "latency/target=bundle", "latency.target.out=b.zip"],
    )
    assert again.exit_code == 0 and "already done" in again.output
    assert not Path("b.zip").exists()


def test_only_a_table_can_be_carried(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["search-block", f"run_dir={tmp_path}", *TINY, "latency/target=bundle", "-q"])
    assert done.exit_code == 2
    assert "latency/target=bundle: only profile-latency can be carried away" in done.stderr
