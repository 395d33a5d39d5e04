"""`frostnas run` makes what is not given, and goes on where it was, with --force too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frostnas.artifacts import BlockResult, CandidateCosts, NetResult
from frostnas.config import Config
from frostnas.nets import NAMED_BLOCKS
from frostnas.pipeline.chain import needed
from frostnas.report.grids import RunSummary, run_grid
from tests.in_process import NET, SHORT, done, interrupted, write_net, write_photos


@pytest.mark.parametrize(
    ("given", "stages"),
    [
        ({}, ["search-block", "profile-latency", "search-net", "train", "export"]),
        ({"block": "frost"}, ["profile-latency", "search-net", "train", "export"]),
        ({"table": "latency.json"}, ["search-block", "search-net", "train", "export"]),
        ({"block": "frost", "table": "latency.json"}, ["search-net", "train", "export"]),
        ({"net": "frostnet_small_0_5"}, ["train", "export"]),
    ],
)
def test_a_stage_whose_output_is_given_does_not_run(given: dict[str, str], stages: list[str]) -> None:
    assert [stage.name for stage in needed(Config(**given))] == stages  # type: ignore[arg-type]


def test_the_summary_shows_the_block_that_the_network_is_made_of(tmp_path: Path) -> None:
    frost, other = NAMED_BLOCKS["frost"], NAMED_BLOCKS["mobilenet_v2"]
    net = NetResult(NET, "random", 1.0, 1.0, "a CPU", 0.0, False, 1, 0, 0.0, block=frost)
    found = BlockResult(other, (), (), (), (), CandidateCosts(1.0, {}), (), 0, 0.0)
    for block in (None, found):  # one that a former run of the folder has found is not the network's
        row = run_grid(RunSummary(block=block, net=net), tmp_path).rows[0]
        assert row[0] == "block given" and "squeeze_4" in row[1]
    assert run_grid(RunSummary(block=found), tmp_path).rows[0][0] == "block found"


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """`run` of a given network on a few images."""
    data = ["data=imagefolder", f"data.root={write_photos(tmp_path / 'photos')}"]
    return ["run", f"run_dir={tmp_path / 'run'}", f"net={write_net(tmp_path / 'net.json')}", *data, *SHORT]


def test_a_given_network_is_trained_and_exported(words: list[str], tmp_path: Path) -> None:
    said = done(*words)
    for stage in ("search-block", "profile-latency", "search-net"):
        assert f"{stage}: not needed, its output is given" in said
    assert "block" not in said.partition("frostnas run:")[2]
    assert {path.name for path in (tmp_path / "run").glob("*.json")} == {"train.json", "export.json", "inspection.json"}
    assert done(*words).count("already done") == 2


@pytest.mark.slow
def test_a_forced_run_goes_on_after_an_interrupt_with_what_it_has_not_come_to(words: list[str], tmp_path: Path) -> None:
    done(*words)
    run, longer = tmp_path / "run", [*words, "train.float_epochs=60", "--force"]
    exported = (run / "export.json").read_bytes()
    interrupted(run / "metrics" / "train.csv", 5, *longer)
    assert json.loads((run / "checkpoints" / "begun" / "run.json").read_text())["stages"] == ["train", "export"]
    said = done(*longer[:-1])  # without --force, as with it
    assert "train: going on from epoch" in said and "export: done" in said
    assert (run / "export.json").read_bytes() != exported
    assert done(*longer[:-1]).count("already done") == 2
