"""`frostnas ladder`: one network at several sizes, each a run of its own, and one line of what they come to."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from safetensors.torch import load_file

from frostnas.artifacts import ExportReport, LadderResult, Rung, TrainResult, load
from frostnas.artifacts.plan import Plan
from frostnas.config.compose import compose_config
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.engine import Workspace
from frostnas.errors import InputError
from frostnas.pipeline import STAGES, Session
from frostnas.pipeline.ladder import plan_ladder
from frostnas.pipeline.planning import PLAN
from frostnas.report.grids import artifact_grids
from frostnas.report.ladder_plot import ladder_figure, save_ladder_plot

WORDS = [
    "net=frostnet_small_0_35",
    "data.test_fraction=0.8",
    "ladder.sizes=[16,8]",
    "train.float_epochs=1",
    "train.epochs=0",
    "train.frozen_epochs=0",
    "train.calibration_batches=2",
    "latency.rounds=2",
    "latency.round_ms=0.5",
    "export.min_agreement=0.9",  # a network of one epoch has many near ties
    "export.max_top1_drop=0.1",
    "device=cpu",
]


def climbed(folder: Path, *words: str) -> LadderResult:
    config = compose_config([*WORDS, *words, f"run_dir={folder}"])
    with Workspace.open(folder, quiet=True) as workspace:
        result = STAGES["ladder"].run(Session(config, workspace))
    assert isinstance(result, LadderResult)
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("ladder")
    climbed(path)
    return path


def test_every_size_is_trained_exported_and_measured(folder: Path) -> None:
    result = load(folder / "ladder.json", LadderResult).value
    assert [one.image_size for one in result.rungs] == [8, 16]
    for one in result.rungs:
        below = folder / "sizes" / str(one.image_size)
        trained, exported = (
            load(below / "train.json", TrainResult).value,
            load(below / "export.json", ExportReport).value,
        )
        assert trained.net.image_size == OnnxClassifier(folder / one.path).images.image_size == one.image_size
        assert (one.top1, one.top1_fp32, one.top1_test) == (
            trained.fake_quant.val,
            trained.fp32.val,
            exported.int8.top1,
        )
        assert 0 < one.latency_ms <= one.latency_ms_p90
        assert (below / "config.yaml").is_file()
    assert result.rungs[0].macs < result.rungs[1].macs
    assert imread(folder / "ladder.png").shape[1] == 960
    fp32, int8 = (np.asarray(line.get_xydata()).tolist() for line in ladder_figure(result).axes[0].lines)
    assert fp32 == [[one.latency_ms, 100 * one.top1_fp32] for one in result.rungs]
    assert int8 == [[one.latency_ms, 100 * one.top1] for one in result.rungs]


@pytest.mark.slow
def test_sizes_share_a_time_limit_by_their_pixels(tmp_path: Path) -> None:
    assert not climbed(tmp_path, "ladder.shared=false", "time_limit=1h").shared
    small, large = (load(tmp_path / "sizes" / size / PLAN, Plan).value for size in ("8", "16"))
    assert small.limit_s == pytest.approx(3600 / 5, abs=5)
    assert large.limit_s is not None and 2800 < large.limit_s < 3600  # what the small one left, too
    for plan in (small, large):
        assert [(one.name, one.taken_s is not None) for one in plan.stages] == [("train", True), ("export", True)]


def test_the_plan_of_a_ladder_has_a_row_per_size_and_stage_and_leaves_no_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    place = Workspace(run, None, logging.getLogger("frostnas"), writes=False)

    def planned(*words: str) -> Plan:
        return plan_ladder(Session(compose_config([*WORDS, *words, f"run_dir={run}"]), place))

    plan = planned("time_limit=1h")
    rows = [f"{stage} at {size} pixels" for size in (8, 16) for stage in ("train", "export")]
    assert [one.name for one in plan.stages] == ["train at all sizes", *rows] and plan.fits and plan.limit_s == 3600
    assert all(one.seconds > 0 for one in plan.stages) and not run.exists()
    assert [one.name for one in planned("ladder.shared=false").stages] == rows


def test_a_second_climb_does_nothing_and_one_with_other_sizes_is_refused(folder: Path) -> None:
    before = (folder / "ladder.json").read_bytes()
    climbed(folder)
    assert (folder / "ladder.json").read_bytes() == before
    assert "ladder: already done" in (folder / "frostnas.log").read_text()
    with pytest.raises(InputError, match=r"ladder\.json: was made with other ladder\.sizes"):
        climbed(folder, "ladder.sizes=[8]")


def test_all_sizes_have_the_weights_of_one_training_with_statistics_of_their_own(folder: Path) -> None:
    result = load(folder / "ladder.json", LadderResult).value
    assert result.shared and result.shared_seconds > 0
    shared, small, large = (
        load_file(folder / place / "weights.safetensors") for place in ("shared", "sizes/8", "sizes/16")
    )
    learnt = [name for name in shared if name.endswith(".conv.weight")]
    moved = [name for name in shared if name.endswith("running_mean")]
    assert all(bool((shared[name] == one[name]).all()) for name in learnt for one in (small, large))
    assert any(bool((small[name] != large[name]).any()) for name in moved)


def test_the_plot_and_the_table_come_from_the_artifact_alone(tmp_path: Path) -> None:
    rungs = tuple(Rung(size, 0.8, 0.79, 0.78, size / 100, size / 90, 1000, 10, "x", 90.0) for size in (64, 96))
    result = LadderResult("some_net", False, rungs, "some CPU", "onnxruntime", 1, 0.0)
    for name in ("one.png", "other.png"):
        save_ladder_plot(result, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    (grid,) = artifact_grids(result, Path("ladder.json"))
    assert grid.rows[1] == ("96", "80.00%", "79.00%", "78.00%", "0.960 ms", "1.5")
