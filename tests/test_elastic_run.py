"""A run with a trained network behind it: from its weights to an exported file at a size that the search chose."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from frostnas.artifacts import ExportReport, NetResult, TrainResult, load
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.engine import Workspace, weights_of
from frostnas.errors import InputError
from frostnas.nets import Net, zoo_spec
from frostnas.pipeline.chain import needed, run_chain
from frostnas.pipeline.parent import read_parent
from frostnas.pipeline.session import Session
from tests.tiny import TINY

NAME = "frostnet_small_0_35"


def config_of(run_dir: Path, *words: str) -> Config:
    common = ("quant.weight_bits=7", "parent.epochs=1", "train.head_epochs=1", "train.batch_size=128")
    searched = ("space.resolutions=[16,24]", "search_net.batch_size=128", "budget.fraction=0.6")
    loose = ("export.min_agreement=0.5", "export.max_top1_drop=0.5")
    return compose_config([*TINY, *common, *searched, *loose, f"run_dir={run_dir}", *words])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("parent") / "weights.safetensors"
    save_file(weights_of(Net(zoo_spec(NAME, 10, 32))), path)
    return path


@pytest.mark.slow
def test_a_parent_and_sizes_become_a_file_that_says_its_size(weights: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, f"parent.net={NAME}", f"parent.weights={weights}", "parent.image_size=32")
    assert [stage.name for stage in needed(config)] == [
        "profile-latency",
        "train-parent",
        "search-net",
        "train",
        "export",
    ]
    with Workspace.open(tmp_path, quiet=True) as workspace:
        run_chain(Session(config, workspace))
    net = load(tmp_path / "net.json", NetResult).value
    trained = load(tmp_path / "train.json", TrainResult).value
    report = load(tmp_path / "export.json", ExportReport).value
    assert net.net.image_size in (16, 24)
    assert trained.net == net.net and trained.images.image_size == net.net.image_size
    assert OnnxClassifier(tmp_path / report.int8.path).images.image_size == net.net.image_size
    assert load(tmp_path / "parent" / "train.json", TrainResult).value.net.image_size == 32
    sizes = {
        int(line.strip('"').partition("px|")[0]) for line in (tmp_path / "pareto.csv").read_text().splitlines()[1:]
    }
    assert sizes == {16, 24}
    assert net.predicted_ms <= net.budget_ms
    other = ("train.epochs=0", "train.float_epochs=0", "train.head_epochs=0", "train.frozen_epochs=0")
    words = (f"parent.net={NAME}", f"parent.weights={weights}", f"net={tmp_path / 'front' / '1'}", *other)
    with Workspace.open(tmp_path / "second", quiet=True) as workspace:
        run_chain(Session(config_of(tmp_path / "second", *words), workspace))
    second = load(tmp_path / "second" / "train.json", TrainResult).value
    assert second.net == load(tmp_path / "front" / "1" / "net.json", NetResult).value.net


def test_a_parents_weights_are_found_where_they_belong(weights: Path, tmp_path: Path) -> None:
    parent = read_parent(config_of(tmp_path, f"parent.net={NAME}", f"parent.weights={weights}").parent)
    assert parent is not None and parent.spec.name == NAME
    for words, said in (
        ([f"parent.net={NAME}"], "expected parent.weights=PATH"),
        ([f"parent.weights={weights}"], "expected parent.net=NAME"),
        (["parent.net=nothing"], "expected a name that `frostnas zoo` lists"),
    ):
        with pytest.raises(InputError, match=said):
            read_parent(config_of(tmp_path, *words).parent)
