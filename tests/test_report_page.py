"""The report's page: its charts hold the run's numbers, and a real browser draws them offline without a word."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frostnas.report.charts import figures
from frostnas.report.comparison import settings_grid, summary_grid
from frostnas.report.comparison_charts import comparison_figures
from frostnas.report.drawing import Figure
from frostnas.report.grids import RunSummary, artifact_grids
from frostnas.report.network_chart import Part, parts_of
from frostnas.report.page import comparison_page, page
from frostnas.report.reported import Reported
from tests.report_parts import made_ladder, made_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BROWSER = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000"]
CHARTS = {"accuracy", "prediction", "curve0", "curve1", "curve2", "network", "confusion"}


@pytest.fixture
def made(tmp_path: Path) -> Reported:
    return made_run(tmp_path / "run")


def drawn(made: Reported) -> dict[str, Figure]:
    return {one.name: one for some in figures(made.run, made.folder, made.inspection).values() for one in some}


def values_of(figure: Figure) -> list[dict[str, Any]]:
    """The rows of every data set of a chart."""
    return [row for rows in figure.spec["datasets"].values() for row in rows]


def test_a_finished_run_has_every_chart(made: Reported) -> None:
    assert drawn(made).keys() == CHARTS


def test_the_accuracy_chart_tells_scored_front_pick_named_and_exported_networks_apart(made: Reported) -> None:
    kinds = [row.get("kind") for row in values_of(drawn(made)["accuracy"])]
    assert {"scored", "front", "pick", "named network", "exported, measured"} <= set(kinds)


def parts(made: Reported) -> list[Part]:
    assert made.run.train is not None
    return parts_of(made.run.train.net, made.run.latency, made.inspection)


def test_the_parts_of_a_network_share_the_whole_latency_and_each_layer_lies_in_its_part(made: Reported) -> None:
    image, *timed = parts(made)
    assert image.share is None
    assert sum(one.share or 0.0 for one in timed) == pytest.approx(1)
    layers = [[one.layer for one in part.health] for part in (image, *timed)]
    assert layers[:3] == [["input"], ["stem"], ["layers.0.expand", "layers.0.spatial"]] and layers[-1] == ["head.0"]


def test_the_network_is_drawn_in_order_with_what_pointing_at_a_layer_says(made: Reported) -> None:
    rows = [row for row in values_of(drawn(made)["network"]) if "layer" in row]
    assert made.inspection is not None
    assert [row["layer"] for row in rows] == [one.layer for one in made.inspection.layers]
    assert [row["y"] for row in rows] == sorted(row["y"] for row in rows)
    assert (rows[1]["part"], rows[1]["share of the latency"]) == ("stem  3x3  3 x 32² → 16 x 16²", "20.0%")
    assert (rows[0]["state"], rows[-1]["state"]) == ("good", "poor")


def test_before_the_export_the_network_is_drawn_with_its_time_alone(made: Reported) -> None:
    trained = replace(made, run=replace(made.run, export=None))
    assert figures(trained.run, trained.folder, made.inspection)["train"][-1].name == "network"
    texts = {row.get("text") for row in values_of(drawn(trained)["network"])}
    assert "20.0%" in texts and "expand" not in texts


@pytest.mark.parametrize(
    ("pace", "said"),
    [
        (None, "predicted 0.310 ms, measured"),
        (1.05, "predicted 0.310 ms, measured"),
        (2.0, "predicted 0.310 ms, 0.620 ms at the machine's pace now, measured"),
        (0.5, "predicted 0.310 ms, 0.155 ms at the machine's pace now, measured"),
    ],
)
def test_a_machine_of_another_pace_than_its_table_is_said(made: Reported, pace: float | None, said: str) -> None:
    assert made.run.export is not None
    (grid,) = artifact_grids(replace(made.run.export, pace=pace), Path("export.json"))
    assert dict(grid.rows)["latency INT8"].startswith(said)


def test_the_page_shows_mistakes_first_and_says_what_they_are(made: Reported) -> None:
    text = page(made)
    assert re.findall(r'<figcaption class="wrong">(.*?)</figcaption>', text) == ["dog 93%, is cat", "cat 60%, is owl"]


def test_without_the_extra_the_page_has_its_tables_and_no_script(
    made: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)  # it cannot be imported
    text = page(made)
    assert "<script>" not in text
    assert "<table" in text


def test_the_ladder_is_in_the_accuracy_chart(made: Reported) -> None:
    both = replace(made, run=replace(made.run, ladder=made_ladder()))
    points = [row for row in values_of(drawn(both)["accuracy"]) if row.get("kind") == "ladder"]
    assert {(row["ms"], row["top1"]) for row in points} == {(0.16, 0.81), (0.32, 0.83)}
    assert "ladder" not in {row.get("kind") for row in values_of(drawn(made)["accuracy"])}


def test_a_ladder_alone_has_an_accuracy_chart(tmp_path: Path) -> None:
    assert figures(RunSummary(ladder=made_ladder()), tmp_path, None).keys() == {"ladder"}


@pytest.fixture
def several(made: Reported, tmp_path: Path) -> list[Reported]:
    """A searched run, and a training of a named network with a ladder, without a search."""
    other = made_run(tmp_path / "other")
    other.folder.joinpath("pareto.csv").unlink()
    assert other.run.export is not None
    export = replace(other.run.export, int8=replace(other.run.export.int8, top1=0.91))
    return [made, replace(other, run=replace(other.run, net=None, export=export, ladder=made_ladder()))]


def test_a_comparison_has_a_column_for_each_run(several: list[Reported]) -> None:
    grid = summary_grid(several)
    assert grid.columns == ("", "run", "other")
    rows = {title: cells for title, *cells in grid.rows}
    assert rows["top-1 INT8, test"] == ["80.00%", "91.00%"]
    assert rows["latency budget"] == ["0.330 ms", "-"]
    assert rows["ladder"] == ["-", "efficientnet_lite0: 16 px 70.00% 0.160 ms; 32 px 70.00% 0.320 ms"]


def test_of_the_settings_those_are_shown_that_differ() -> None:
    one = {"seed": 0, "run_dir": "a", "train": {"epochs": 4, "weights": None}}
    other = {"seed": 0, "run_dir": "b", "train": {"epochs": 8, "weights": None, "inherit": True}}
    grid = settings_grid(["a", "b"], [one, other])
    assert grid.rows == [("train.epochs", "4", "8"), ("train.inherit", "-", "true")]


def test_charts_of_several_runs_tell_them_apart(several: list[Reported]) -> None:
    charts = {one.name: one for one in comparison_figures(several)}
    assert charts.keys() == {"accuracy", "curves", "recall"}
    for chart in charts.values():
        assert {row["run"] for row in values_of(chart)} == {"run", "other"}
    kinds = {(row["run"], row["kind"]) for row in values_of(charts["accuracy"])}
    assert {("run", "front"), ("run", "named network"), ("other", "ladder"), ("other", "exported, measured")} <= kinds
    recall = {row["class"]: row["recall"] for row in values_of(charts["recall"])}
    assert recall == {"cat": 7 / 9, "dog": 1, "owl": 0.6}


@pytest.mark.slow
def test_where_memory_is_limited_the_page_has_its_tables_and_says_what_it_lacks(made: Reported) -> None:
    code = "import sys, pickle; from frostnas.report.page import page; print(page(pickle.load(sys.stdin.buffer)))"
    limited = ["bash", "-c", 'ulimit -v 30000000 && exec "$0" "$@"', sys.executable, "-c", code]
    done = subprocess.run(limited, input=pickle.dumps(made), capture_output=True, check=True, timeout=300)
    assert b"the report has no charts: vl-convert ended with status" in done.stderr
    assert b"<script>" not in done.stdout and b"<table" in done.stdout


def browse(text: str, expected: set[str], folder: Path, size: str) -> None:
    """A real browser draws the charts of a page without a word on its console."""
    assert CHROMIUM is not None
    file = folder / "report.html"
    file.write_text(text)
    assert file.stat().st_size < 5e6
    assert "default-src 'none'; img-src data:" in text
    options = [f"--window-size={size}", f"--user-data-dir={folder / 'profile'}"]
    command = [CHROMIUM, *BROWSER, *options, "--enable-logging=stderr", "--v=0", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert "CONSOLE" not in done.stderr  # where a fetch, which the page's own policy forbids, would be named
    for name in expected:
        chart = re.search(rf'<div class="chart[^"]*" id="{name}".*?</figure>', done.stdout, re.DOTALL)
        assert chart is not None, name
        assert chart.group().count("<path") > 2, name


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("size", ["1200,6000", "390,9000"])
def test_a_browser_draws_every_chart_and_fetches_nothing(made: Reported, tmp_path: Path, size: str) -> None:
    browse(page(made), CHARTS, tmp_path, size)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_draws_every_chart_of_several_runs(several: list[Reported], tmp_path: Path) -> None:
    text = comparison_page(several, ["a doubt"], settings_grid(["a", "b"], [{"seed": 0}, {"seed": 1}]))
    browse(text, {"accuracy", "curves", "recall"}, tmp_path, "390,9000")
