"""The report's page: its charts hold the run's numbers, and a real browser draws them offline without a word."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frostnas.report.charts import Figure, figures
from frostnas.report.page import page
from tests.report_parts import Made, made_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BROWSER = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000"]
CHARTS = {"pareto", "prediction", "curve0", "curve1", "curve2", "time", "health", "ranges", "confusion"}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return made_run(tmp_path)


def drawn(made: Made, folder: Path) -> dict[str, Figure]:
    return {one.name: one for some in figures(made.run, folder, made.inspection).values() for one in some}


def values_of(figure: Figure) -> list[dict[str, Any]]:
    """The rows of every data set of a chart."""
    return [row for rows in figure.spec["datasets"].values() for row in rows]


def test_a_finished_run_has_every_chart(made: Made, tmp_path: Path) -> None:
    assert drawn(made, tmp_path).keys() == CHARTS


def test_the_accuracy_chart_tells_scored_front_pick_named_and_exported_networks_apart(
    made: Made, tmp_path: Path
) -> None:
    kinds = [row.get("kind") for row in values_of(drawn(made, tmp_path)["pareto"])]
    assert {"scored", "front", "pick", "named network", "exported, measured"} <= set(kinds)


def test_the_parts_of_a_network_share_the_whole_latency(made: Made, tmp_path: Path) -> None:
    rows = values_of(drawn(made, tmp_path)["time"])
    assert len(rows) == 5
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_a_layer_of_much_noise_is_called_poor(made: Made, tmp_path: Path) -> None:
    states = {row["layer"]: row["state"] for row in values_of(drawn(made, tmp_path)["health"])}
    assert (states["input"], states["head.0"]) == ("good", "poor")


def test_the_page_shows_mistakes_first_and_says_what_they_are(made: Made, tmp_path: Path) -> None:
    text = page(made.run, tmp_path, [], "", made.inspection)
    assert re.findall(r'<figcaption class="wrong">(.*?)</figcaption>', text) == ["dog 93%, is cat", "cat 60%, is owl"]


def test_without_the_extra_the_page_has_its_tables_and_no_script(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)  # it cannot be imported
    text = page(made.run, tmp_path, [], "", made.inspection)
    assert "<script>" not in text
    assert "<table" in text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("size", ["1200,6000", "390,9000"])
def test_a_browser_draws_every_chart_and_fetches_nothing(made: Made, tmp_path: Path, size: str) -> None:
    assert CHROMIUM is not None
    file = tmp_path / "report.html"
    file.write_text(page(made.run, tmp_path, [], "", made.inspection))
    assert file.stat().st_size < 5e6
    assert "default-src 'none'; img-src data:" in file.read_text()
    options = [f"--window-size={size}", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [CHROMIUM, *BROWSER, *options, "--enable-logging=stderr", "--v=0", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert "CONSOLE" not in done.stderr  # where a fetch, which the page's own policy forbids, would be named
    for name in CHARTS:
        chart = re.search(rf'<div class="chart[^"]*" id="{name}".*?</figure>', done.stdout, re.DOTALL)
        assert chart is not None, name
        assert chart.group().count("<path") > 2, name
