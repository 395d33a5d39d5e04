"""The config says what is wrong in one line, and every group composes."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostnas.config import Config, DataName, SearchNetConfig
from frostnas.config.compose import compose_config, to_yaml
from frostnas.config.groups import conf_dir
from frostnas.errors import InputError

GROUPS = sorted(
    f"{path.parent.relative_to(conf_dir()).as_posix()}={path.stem}"
    for path in conf_dir().rglob("*.yaml")
    if path.parent != conf_dir() and path.parent.name != "space"
)


@pytest.mark.parametrize("override", [*GROUPS, "space=[block,network]", "space=[block,network_small]"])
def test_every_choice_of_every_group_composes(override: str) -> None:
    assert isinstance(compose_config([override]), Config)


def test_the_default_experiment_is_digits() -> None:
    config = compose_config()
    assert config.data.name is DataName.digits
    assert config.run_dir == "runs/digits"


def test_an_override_beats_the_experiment() -> None:
    assert compose_config(["data=cifar10"]).data.name is DataName.cifar10


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("nope=1", ["nope=1", "expected one of", "run_dir"]),
        ("data.imge_size=32", ["data.imge_size=32", "did you mean data.image_size?"]),
        ("data.image_size=big", ["data.image_size=big", "one number, 8 to 1024"]),
        ("data.image_size=3", ["data.image_size=3", "8 to 1024"]),
        ("seed=-1", ["seed=-1", "0 to"]),
        ("quant.weight_bits=6", ["quant.weight_bits=6", "7, 8"]),
        ("data=nope", ["data/nope", "cifar10, cifar100, digits"]),
        ("data.name=nope", ["data.name=nope", "digits"]),
        ("search_net=moon", ["search_net/moon", "evolution, gradient"]),
        ("train.optim.lr=fast", ["train.optim.lr=fast"]),
        ("a b=1", ["a b=1"]),
        ("train.frozen_epochs=44", ["train.frozen_epochs=44", "fewer than train.epochs=44"]),
    ],
)
def test_a_wrong_override_is_one_line_that_names_key_value_and_what_is_accepted(
    override: str, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        compose_config([override])
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_the_resolved_config_reads_back_as_itself(tmp_path: Path) -> None:
    config = compose_config(["seed=7", "data.augment.shift=0.2"])
    (tmp_path / "mine.yaml").write_text("# @package _global_\n" + to_yaml(config))
    (tmp_path / "experiment").mkdir()
    (tmp_path / "mine.yaml").rename(tmp_path / "experiment" / "mine.yaml")
    assert compose_config(["experiment=mine"], tmp_path) == config


def test_images_of_ones_own_are_searched_in_full_and_the_demo_s_digits_are_not() -> None:
    own, demo = compose_config(["experiment=imagefolder"]), compose_config([])
    assert own.search_net == SearchNetConfig()
    assert own.search_block.finalists > demo.search_block.finalists
    assert own.search_net.epochs > demo.search_net.epochs


@pytest.mark.parametrize("experiment", ["digits", "cifar10", "imagefolder", "imagenet"])
def test_a_named_search_is_the_same_in_every_experiment(experiment: str) -> None:
    named = [
        compose_config([f"experiment={one}", "search_net=elastic"]).search_net for one in ("imagefolder", experiment)
    ]
    assert named[0] == named[1] != compose_config([f"experiment={experiment}"]).search_net


def test_a_users_folder_of_groups_comes_first(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "digits.yaml").write_text("name: digits\nimage_size: 24\n")
    (tmp_path / "data" / "mine.yaml").write_text("name: imagefolder\nroot: photos\n")
    assert compose_config([], tmp_path).data.image_size == 24
    assert compose_config(["data=mine"], tmp_path).data.root == "photos"
    assert compose_config(["data=cifar10"], tmp_path).data.name is DataName.cifar10


def test_a_missing_folder_of_groups_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        compose_config([], tmp_path / "absent")
