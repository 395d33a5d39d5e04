"""`frostnas report` on several runs: where the page goes, what it says against comparing them, what is refused."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from frostnas.artifacts import (
    EARLY,
    Accuracy,
    ExportReport,
    LadderResult,
    Plan,
    Provenance,
    StagePlan,
    TrainResult,
    load,
    save,
    sha256_of,
)
from tests.in_process import done, refused
from tests.made_run import make_run
from tests.report_parts import made_ladder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    made = [make_run(folder / name, seed) for seed, name in enumerate(("first", "second"))]
    for run in made:
        stored = load(run / "train.json", TrainResult)
        images = Provenance(split=stored.value.split, images=stored.value.images)
        save(run / "train.json", stored.value, images, stored.files)
    return made


@pytest.fixture(autouse=True)
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)


def test_several_runs_become_one_page_in_the_folder_above_them(runs: list[Path]) -> None:
    page = runs[0].parent / "comparison.html"
    assert f"wrote {page}" in done("report", *runs)
    text = page.read_text()
    assert '<th class="words">first</th><th class="words">second</th>' in text
    assert '<td class="words">seed</td><td class="words">0</td><td class="words">1</td>' in text
    assert "other images" not in text


def test_accuracies_of_other_images_are_not_compared_without_a_word(runs: list[Path], tmp_path: Path) -> None:
    other = make_run(tmp_path / "other")
    stored = load(other / "train.json", TrainResult)
    split = load(runs[0] / "train.json", TrainResult).value.split
    images = Provenance(split=replace(split, seed=7), images=stored.value.images)
    save(other / "train.json", stored.value, images, stored.files)
    done("report", runs[0], other, "--out", tmp_path)
    said = "its accuracy is of other images than that of "
    assert said in (tmp_path / "comparison.html").read_text()


def test_a_run_that_is_named_twice_is_refused(runs: list[Path]) -> None:
    assert "named twice; expected different runs" in refused("report", runs[0], runs[0].parent / "." / "first")


def test_a_ladder_alone_can_be_reported(tmp_path: Path) -> None:
    save(tmp_path / "ladder.json", made_ladder(), Provenance())
    assert load(tmp_path / "ladder.json", LadderResult).value.rungs
    done("report", tmp_path)
    assert "efficientnet_lite0 on a CPU" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("text", ["seed: 2024-13-45", "seed: !!python/name:os.system", "[1, 2]"])
def test_settings_that_are_none_are_one_line_or_nothing(runs: list[Path], tmp_path: Path, text: str) -> None:
    other = make_run(tmp_path / "other")
    (other / "config.yaml").write_text(text)
    words = ("report", runs[0], other, "--out", tmp_path)
    if text.startswith("["):
        done(*words)
    else:
        assert "config.yaml: is not a config that frostnas wrote" in refused(*words)


@pytest.mark.parametrize(
    ("exported", "said"),
    [
        ("early", "of the first network, which is within the budget and better"),
        (".", "of the run&#39;s own network, since the first is slower than the budget"),
    ],
)
def test_a_run_with_a_limit_says_what_was_planned_and_which_network_its_file_is(
    tmp_path: Path, exported: str, said: str
) -> None:
    run = make_run(tmp_path / "run")
    first = load(make_run(run / EARLY, seed=1) / "train.json", TrainResult)
    better = replace(first.value, net=replace(first.value.net, name="early one"), fake_quant=Accuracy(0.99, 0.9))
    save(run / EARLY / "train.json", better, first.provenance, first.files)
    export = load(run / "export.json", ExportReport)
    digests = {name: sha256_of(run / exported / name) for name in ("train.json", "weights.safetensors")}
    save(run / "export.json", export.value, replace(export.provenance, inputs=digests), export.files)
    stages = (
        StagePlan(EARLY, {}, 60.0, 0, "0" * 64, begun=True, taken_s=75.0),
        StagePlan("train", {}, 90.0, 0, "0" * 64),
    )
    save(run / "plan.json", Plan(600.0, stages), Provenance())
    done("report", run)
    page = (run / "report.html").read_text()
    assert re.search(r"<td[^>]*>1:00 min</td><td[^>]*>1:15 min</td>", page)
    assert "early one, 99.00% of the validation images" in page and said in page
    assert "was made from another" not in page
