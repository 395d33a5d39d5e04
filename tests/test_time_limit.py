"""`run` within a time limit: a plan that is kept, a usable file early, and the better network at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from frostnas.artifacts import Accuracy, NetResult, Timing, TrainResult, load, row_of, save
from frostnas.artifacts.plan import Plan, StagePlan
from frostnas.cli.failure import leave
from frostnas.config import Config
from frostnas.config.compose import compose_config, read_stored
from frostnas.data.streamed import StreamedImages
from frostnas.engine import Workspace
from frostnas.errors import USABLE, InputError
from frostnas.nets import zoo_names
from frostnas.pipeline import LADDER, Session, costs
from frostnas.pipeline.chain import begin_plan
from frostnas.pipeline.costs import TRAIN_FAKE, TRAIN_FLOAT, Measured, Step
from frostnas.pipeline.early import NAMES, say_what_stands, usable
from frostnas.pipeline.planning import PLAN, Planned
from frostnas.pipeline.probe import near_budget
from frostnas.pipeline.stages import EXPORTING, PARENT, PROFILE, TRAINING
from frostnas.search.net.resources import ResourceCounter
from tests.in_process import SHORT, done, write_photos
from tests.made_run import make_run
from tests.search_parts import table_of, tiny_config
from tests.tiny import TINY


@pytest.mark.parametrize(
    ("first", "own", "budget_ms", "better"),
    [(0.7, 0.8, 100, "."), (0.8, 0.7, 100, "early"), (0.8, 0.8, 100, "."), (0.8, 0.7, 1e-3, ".")],
)
def test_the_export_is_of_the_network_within_the_budget_that_is_better_on_the_validation_images(
    tmp_path: Path, first: float, own: float, budget_ms: float, better: str
) -> None:
    run = tmp_path / "run"
    for folder, val in ((run, own), (run / "early", first)):
        stored = load(make_run(folder) / "train.json", TrainResult)
        scored = replace(stored.value, fake_quant=Accuracy(val, 0.5))
        save(folder / "train.json", scored, stored.provenance, stored.files)
    net = load(run / "net.json", NetResult)
    save(run / "net.json", replace(net.value, budget_ms=budget_ms), net.provenance, net.files)
    with Workspace.open(run, quiet=True) as workspace:
        session = Session(compose_config([f"run_dir={run}"]), workspace)
        assert session.trained_in == run / better
        say_what_stands(session)
    said, whose = (run / "frostnas.log").read_text(), "the run's own" if better == "." else "the first"
    assert f"model.int8.onnx: is of {whose} network" in said
    assert f"(made, {own:.2%} of the validation images; the first: made, {first:.2%}" in said
    assert ("slower than the budget" in said) == (first > own and better == ".")


def test_a_stopped_run_names_the_file_that_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    with Workspace.open(run, quiet=True) as workspace:
        said = usable(Session(compose_config([f"run_dir={run}"]), workspace))
    assert said == f"{USABLE}{run / 'model.int8.onnx'}"
    stopped = KeyboardInterrupt()
    stopped.add_note(said)
    with pytest.raises(SystemExit) as left:
        leave(stopped)
    assert left.value.code == 130 and said in capsys.readouterr().err


def test_settings_of_a_begun_stage_are_taken_up_again_and_those_for_another_config_are_not(tmp_path: Path) -> None:
    words = ["time_limit=10m", f"run_dir={tmp_path}"]
    with Workspace.open(tmp_path, quiet=True) as workspace:
        first = Planned(Session(compose_config(words), workspace), [PROFILE, TRAINING])
        row = StagePlan("train", {"train.epochs": 7}, 60.0, 0, first.basis("train"))
        first.plan = Plan(600.0, (row,))
        assert first.left() == ["profile-latency", "train"] and first.begin("train")
        again = Planned(Session(compose_config(words), workspace), [PROFILE, TRAINING])
        assert again.left() == ["profile-latency"] and again.begin("train")
        assert again.session.config.train.epochs == 7 and not again.begin("profile-latency")
        other = Planned(Session(compose_config([*words, "train.epochs=9"]), workspace), [PROFILE, TRAINING])
        assert other.left() == ["profile-latency", "train"]
    stored = read_stored(tmp_path / "config.yaml", Config)
    assert stored.train.epochs == 7 and stored.time_limit is None


@pytest.mark.parametrize(("begun", "times"), [(False, 1.5), (True, 1.0)])
def test_what_is_left_takes_as_many_times_longer_as_the_parent_unless_that_had_begun_before(
    tmp_path: Path, begun: bool, times: float
) -> None:
    words = ["time_limit=10h", f"run_dir={tmp_path}"]
    with Workspace.open(tmp_path, quiet=True) as workspace:
        planned = Planned(Session(compose_config(words), workspace), [PARENT, TRAINING])
        planned.measured = found = Measured(1000, steps={TRAIN_FLOAT: Step(1.0), TRAIN_FAKE: Step(2.0)})
        row = StagePlan("train-parent", {}, 100.0, 0, planned.basis("train-parent"), begun=begun)
        planned.plan = Plan(36000.0, (row,))
        planned.begin("train-parent")
        planned.end("train-parent", 150.0)
        planned.make()
        left = planned.row("train")
        assert left is not None and left.seconds == times * costs.seconds(found, "train", planned.given)


def test_images_beyond_half_of_the_memory_limit_are_streamed(tmp_path: Path) -> None:
    with Workspace.open(tmp_path, quiet=True) as workspace:
        for limit, most in (("2MiB", 1), ("64GiB", Config().data.in_memory_mb)):
            session = Session(compose_config([f"memory_limit={limit}", "data.image_size=32"]), workspace)
            assert session.config.data.in_memory_mb == most
            assert isinstance(session.data.train, StreamedImages) == (limit == "2MiB")


def test_the_networks_that_are_tried_early_are_of_the_zoo() -> None:
    assert set(NAMES) <= set(zoo_names())


def test_a_limit_that_nothing_fits_is_refused_with_what_would(tmp_path: Path) -> None:
    with Workspace.open(tmp_path, quiet=True) as workspace:
        planned = Planned(Session(compose_config(["time_limit=10s"]), workspace), [TRAINING])
        planned.plan = Plan(10.0, (StagePlan("train", {}, 920.0, 0, planned.basis("train")),), fits=False)
        with pytest.raises(InputError, match="time_limit=10s: the least that the config states takes 17 min; expected"):
            planned.check()


def test_a_stage_that_keeps_to_no_limit_says_so(tmp_path: Path) -> None:
    with Workspace.open(tmp_path, quiet=True) as workspace:
        session = Session(compose_config(["time_limit=10m"]), workspace)
        assert begin_plan(session, [LADDER]) is None  # its sizes are planned one by one
        assert begin_plan(session, [EXPORTING]) is None
    assert "warning: time_limit=10m: export keeps to none" in (tmp_path / "frostnas.log").read_text()


def test_a_plan_counts_networks_as_large_as_those_near_the_budget(tmp_path: Path) -> None:
    macs, shares = ResourceCounter().macs, []
    with Workspace.open(tmp_path, quiet=True) as workspace:
        for fraction in (0.05, 0.95):
            session = Session(tiny_config(f"budget.fraction={fraction}"), workspace)
            assert near_budget(session, Measured(100)).scored == 1  # without a table
            (tmp_path / "latency.json").touch()
            same = [(part, macs(part) / 1e6) for part in session.space.workloads()]
            rows = tuple(row_of(part, *[Timing(ms, ms, ms)] * 2) for part, ms in same)
            session.table = replace(table_of(session.space), rows=rows)
            shares.append(near_budget(session, Measured(100)).scored)
            (tmp_path / "latency.json").unlink()
    assert shares[0] < 1 < shares[1]


@pytest.mark.slow
def test_a_run_with_a_limit_plans_leaves_a_file_early_and_goes_on_with_what_it_chose(tmp_path: Path) -> None:
    run = tmp_path / "run"
    data = ["data=imagefolder", f"data.root={write_photos(tmp_path / 'photos')}", "search_net.batch_size=16"]
    words = ["run", f"run_dir={run}", *data, *TINY, *SHORT, "search_block.batch_size=16"]
    said = done(*words, "--plan", "time_limit=3h")
    assert "early" in said and "limit 3:00 h" in said and not run.exists()
    said = done(*words, "time_limit=3h")
    assert said.index("can be used from here on") < said.index("search-block: started")
    assert "the first: " in said and "planned and taken" in said
    plan = load(run / PLAN, Plan).value
    names = ["early", "search-block", "profile-latency", "search-net", "train", "export"]
    assert [one.name for one in plan.stages] == names and all(one.taken_s for one in plan.stages)
    again = done(*words, "time_limit=3h")
    assert "measuring single steps" not in again and again.count("already done") == 7
    assert read_stored(run / "config.yaml", Config).time_limit is None
