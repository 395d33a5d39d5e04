"""What a core install does without: plots and other slow imports are loaded where they are needed only."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from frostnas.artifacts import ClassScore, Evaluation
from frostnas.report.plots import draw_confusion

HEAVY = {"matplotlib", "pandas", "sklearn", "altair", "vl_convert"}


def loaded_by(statement: str) -> set[str]:
    """Which of the heavy packages are loaded after ``statement``."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("module", ["frostnas", "frostnas.cli.app", "frostnas.cli.predict", "frostnas.cli.status"])
def test_commands_that_draw_nothing_load_nothing_that_draws(module: str) -> None:
    assert loaded_by(f"import {module}") == set()


def test_the_chain_of_stages_loads_neither_plots_nor_tables_before_it_needs_them() -> None:
    assert loaded_by("import frostnas.pipeline") == set()


def test_without_matplotlib_a_plot_is_left_out_and_the_log_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # it cannot be imported
    score = ClassScore("cat", images=1, precision=1.0, recall=1.0)
    result = Evaluation(
        path="model.int8.onnx",
        images=1,
        part="test",
        top1=1.0,
        top5=1.0,
        classes=(score,),
        confusion=((1,),),
        latency_ms_p50=1.0,
        latency_ms_p90=1.0,
        throughput=(),
        size_bytes=1,
    )
    with caplog.at_level(logging.WARNING):
        draw_confusion(result, tmp_path / "confusion.png")
    assert "frostnas[report]" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_core_install_asks_for_nothing_that_only_draws() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    core = {re.match(r"[\w-]+", one)[0] for one in project["dependencies"]}  # type: ignore[index]
    drawing = {re.match(r"[\w-]+", one)[0] for one in project["optional-dependencies"]["report"]}  # type: ignore[index]
    assert {"matplotlib", "altair", "pandas"} <= drawing
    assert not core & drawing
