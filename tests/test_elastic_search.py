"""A search with a finished run behind it: stopped and resumed, for several targets, by several processes, in time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from frostnas.artifacts import (
    NetResult,
    Plan,
    Provenance,
    TrainResult,
    load,
    load_table,
    save,
    write_rows,
)
from frostnas.config.compose import compose_config
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.engine import Workspace
from frostnas.engine.distill import Teacher
from frostnas.errors import InputError
from frostnas.pipeline import STAGES, Session
from frostnas.pipeline.adaptation import adapted
from frostnas.pipeline.chain import run_one
from frostnas.pipeline.early import NAMES, plan_first, run_first, within_budget
from frostnas.pipeline.planning import Planned
from frostnas.pipeline.size_choice import choose_sizes
from frostnas.pipeline.stages import TRAINING
from frostnas.search.spaces.arch import parse_arch
from tests.made_run import make_run
from tests.search_parts import table_of
from tests.test_sizes import pictures_in
from tests.watched import Killed, Watched

SMALL = [
    "search_net=elastic",
    "space.resolutions=[8,12]",
    "parent.expands=[1.0,0.5]",
    "parent.widths=[1.0,0.5]",
    "data.test_fraction=0.6",
    "search_net.batch_size=128",
    "search_net.float_epochs=1",
    "search_net.epochs=1",
    "search_net.population=4",
    "search_net.generations=1",
    "search_net.front_networks=3",
    "search_net.recalibration_batches=1",
    "search_net.finals=1",
    "search_net.final_epochs=1",
    "train.batch_size=128",
    "parent.epochs=0",
    "target_cpu=test",
    "device=cpu",
]


QUICK = ["train.float_epochs=1", "train.epochs=2", "train.frozen_epochs=1", "latency.rounds=2", "target_cpu=null"]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("finished") / "run")


def session_in(run_dir: Path, parent: Path | str, *words: str) -> Session:
    """With a made-up table in the run directory."""
    config = compose_config([*SMALL, f"parent.net={parent}", f"run_dir={run_dir}", *words])
    with Workspace.open(run_dir, quiet=True, checkpoint_s=0.0) as workspace:
        session = Session(config, workspace)
        choose_sizes(session)
        if not (run_dir / "latency.json").exists():
            table = table_of(session.space)
            digest = write_rows(run_dir / "latency.csv", table.rows)
            save(run_dir / "latency.json", replace(table, rows=(), csv_sha256=digest), Provenance())
        return Session(config, workspace)


def searched(session: Session) -> NetResult:
    with Workspace.open(session.workspace.run_dir, quiet=True, checkpoint_s=0.0) as workspace:
        session.workspace = workspace
        result = STAGES["search-net"].run(session)
    assert isinstance(result, NetResult)
    return result


@pytest.mark.slow
def test_a_finished_run_is_taken_apart_for_several_targets(parent: Path, tmp_path: Path) -> None:
    result = searched(session_in(tmp_path, parent, "budget.others=[{fraction: 0.2}]"))
    arch = parse_arch(result.net.name)
    assert arch.size in (8, 12) and arch.stages[0].width in (24, 16)
    other, table = load(tmp_path / "targets/2/net.json", NetResult).value, load_table(tmp_path / "latency.json")
    for one in (result, other):
        assert table.predict_ms(one.net) <= one.budget_ms
    assert (tmp_path / "targets/2/front/1/net.json").is_file() and (tmp_path / "front/1/net.json").is_file()
    said = (tmp_path / "frostnas.log").read_text()
    assert f"search-net: images of {arch.size} pixels, of 8, 12" in said
    assert "search-net: training will hold up to about" in said


@pytest.mark.slow
def test_the_size_comes_from_the_pictures(parent: Path, tmp_path: Path) -> None:
    root = pictures_in(tmp_path / "photos", *[(50, 48)] * 12)
    words = ("space.resolutions=[]", "data=imagefolder", f"data.root={root}", "data.test_fraction=0.25")
    net = searched(session_in(tmp_path / "run", parent, *words)).net
    assert net.image_size in (32, 40, 48)
    short = ("train.head_epochs=0", "train.float_epochs=1", "train.epochs=0", "train.frozen_epochs=0")
    session = session_in(tmp_path / "run", parent, *words, *short)
    with Workspace.open(tmp_path / "run", quiet=True) as workspace:
        session.workspace = workspace
        trained = STAGES["train"].run(session)
    assert isinstance(trained, TrainResult)
    assert trained.net == net and trained.images.image_size == net.image_size


@pytest.mark.slow
@pytest.mark.parametrize("batches", [3, 8, 21])
def test_a_killed_search_with_a_parent_goes_on_to_the_same_network(batches: int, parent: Path, tmp_path: Path) -> None:
    """In the training of the parent, of the supernet, or in its finals."""
    words = ("parent.epochs=1", "train.head_epochs=0")
    whole, session = (
        searched(session_in(tmp_path / "whole", parent, *words)),
        session_in(tmp_path / "k", parent, *words),
    )
    lives: list[None] = [None] * batches
    session.data = replace(session.data, train=Watched(session.data.train, lives))
    with pytest.raises(Killed):
        searched(session)
    resumed = searched(session_in(tmp_path / "k", parent, *words))
    assert replace(resumed, seconds=0.0) == replace(whole, seconds=0.0)
    pareto = [(tmp_path / name / "pareto.csv").read_bytes() for name in ("whole", "k")]
    assert pareto[0] == pareto[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("budget.latency_ms=1e-6",), "no network of the space is that fast"),
        (("parent.widths=[1.0,0.25]",), "no workload"),
        (("table=nowhere/latency.json",), "no such file"),
    ],
)
def test_what_a_search_refuses_is_refused_before_its_parent_is_trained(
    words: tuple[str, ...], said: str, parent: Path, tmp_path: Path
) -> None:
    session_in(tmp_path, parent)
    session = session_in(tmp_path, parent, "parent.epochs=1", *words)
    with pytest.raises(InputError, match=said):
        run_one(session, STAGES["search-net"])
    assert not list(tmp_path.glob("parent/*.json")) and not list(tmp_path.glob("parent/metrics/*"))


def test_a_parent_teaches_with_images_of_a_size_of_its_own(parent: Path, tmp_path: Path) -> None:
    trained = load(parent / "train.json", TrainResult).value.net.image_size
    for words, size in (((), trained), (("parent.image_size=20",), 20)):
        session = session_in(tmp_path / str(size), parent, *words)
        assert session.data.format.image_size == 12 and session.data_to_search.train.side == max(12, size)
        _, lesson = adapted(session, TRAINING)
        assert lesson is not None and isinstance(lesson.teacher, Teacher) and lesson.teacher.view.size == size


def test_several_processes_want_a_parent_that_is_trained(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_in(tmp_path, parent, "parent.epochs=2")
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"parent\.epochs=2: expected 0 with several processes"):
        searched(session)


@pytest.mark.slow
def test_two_processes_score_and_tune_what_one_does(parent: Path, tmp_path: Path) -> None:
    """Both train; then one alone scores the supernet that they trained."""
    two, one = tmp_path / "two", tmp_path / "one"
    session_in(two, parent)
    by_torchrun(two, parent, 2)
    shutil.copytree(two, one)
    for name in ("net.json", "pareto.csv", "checkpoints/search_net_scores.pt"):
        (one / name).unlink()
    by_torchrun(one, parent, 1)
    assert (one / "pareto.csv").read_bytes() == (two / "pareto.csv").read_bytes()
    assert load(one / "net.json", NetResult).value.net == load(two / "net.json", NetResult).value.net


def by_torchrun(run_dir: Path, parent: Path, processes: int) -> None:
    words = ["-m", "frostnas", "search-net", *SMALL, f"parent.net={parent}", f"run_dir={run_dir}"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    line = [sys.executable, *(torchrun if processes > 1 else []), *words]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_time_limit_plans_a_search_with_a_parent(parent: Path, tmp_path: Path) -> None:
    session = session_in(tmp_path, parent, "time_limit=10m", "parent.epochs=1")
    with Workspace.open(tmp_path, quiet=True) as workspace:
        session.workspace = workspace
        result = run_one(session, STAGES["search-net"])
    (row,) = (one for one in load(tmp_path / "plan.json", Plan).value.stages if one.name == "search-net")
    assert row.taken_s is not None and 0 < row.seconds < 600 and row.settings["search_net.epochs"] == 1
    assert load(tmp_path / "parent" / "train.json", TrainResult).value.net.image_size == 12
    assert isinstance(result, NetResult) and result.net.image_size in (8, 12)


@pytest.mark.parametrize(("budget_ms", "first"), [("null", (None, 12)), (1e9, (None, 12))])
def test_the_parent_at_the_largest_images_within_the_budget_comes_first(
    parent: Path, tmp_path: Path, budget_ms: object, first: tuple[None, int]
) -> None:
    words = [f"budget.latency_ms={budget_ms}", "latency.rounds=2", "latency.round_ms=0.1", "target_cpu=null"]
    candidates = within_budget(session_in(tmp_path, parent, *words))
    assert candidates[0] == first and candidates[1] == (None, 8)
    assert [name for name, _ in candidates[2:]] == list(NAMES) and {size for _, size in candidates[2:]} == {12}


def test_no_network_is_within_a_budget_of_nothing(parent: Path, tmp_path: Path) -> None:
    words = ["budget.latency_ms=1e-6", "latency.rounds=2", "latency.round_ms=0.1", "target_cpu=null"]
    assert not within_budget(session_in(tmp_path, parent, *words))


@pytest.mark.slow
def test_the_first_network_of_a_limit_is_a_smaller_parent_where_the_whole_is_too_slow(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frostnas.pipeline.early.measure_nets", lambda *_: [9.0, 1.0, 9.0, 9.0, 9.0, 9.0])
    session = session_in(tmp_path, parent, "time_limit=10m", "budget.latency_ms=2", *QUICK)
    with Workspace.open(tmp_path, quiet=True) as workspace:
        session.workspace = workspace
        planned = Planned(session, [STAGES["search-net"], STAGES["train"]])
        plan_first(planned)
        run_first(planned)
    assert load(tmp_path / "early" / "train.json", TrainResult).value.net.image_size == 8
    assert OnnxClassifier(tmp_path / "model.int8.onnx").images.image_size == 8


def put_where_torchvision_looks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh weights, as if they had been downloaded."""
    from torchvision import models

    (folder / "hub" / "checkpoints").mkdir(parents=True)
    name = Path(models.MobileNet_V3_Small_Weights.DEFAULT.url).name
    torch.save(models.mobilenet_v3_small().state_dict(), folder / "hub" / "checkpoints" / name)
    monkeypatch.setenv("TORCH_HOME", str(folder))


def put_where_timm_looks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm
    from huggingface_hub import constants

    card = timm.get_pretrained_cfg("mobilenetv3_small_100")
    kept = folder / f"models--{card.hf_hub_id.replace('/', '--')}"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("first")
    (kept / "snapshots" / "first").mkdir(parents=True)
    save_file(timm.create_model(card.architecture).state_dict(), kept / "snapshots" / "first" / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("torchvision:mobilenet_v3_small", put_where_torchvision_looks),
        ("timm:mobilenetv3_small_100", put_where_timm_looks),
    ],
)
def test_a_librarys_network_is_taken_apart(
    name: str, put: Callable[[Path, pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "cache", monkeypatch)
    session = session_in(tmp_path / "run", name, "data.test_fraction=0.8", "parent.widths=[1.0]", "search_net.finals=0")
    assert session.parent is not None and session.parent.spec.name == "mobilenet_v3_small_1_0"
    result = searched(session)
    assert 1 + 4 <= len(result.net.layers) <= len(session.parent.spec.layers) == 11  # of the first and four stages
    assert result.net.stem.convention == session.parent.spec.stem.convention
