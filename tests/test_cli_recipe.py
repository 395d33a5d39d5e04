"""Weights from elsewhere bring the recipe that is made for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostnas import create_model
from frostnas.cli.recipe import with_recipe
from frostnas.config.compose import compose_config
from frostnas.engine import weights_of
from frostnas.nets.state_files import weights_file
from tests.test_nets_weights import real_lite0

LITE = ["net=efficientnet_lite0", f"train.weights={real_lite0()}"]


@pytest.mark.parametrize("more", [[], ["experiment=imagefolder"], ["train.epochs=0", "data.augment.crop=0.5"]])
def test_weights_of_another_project_choose_the_recipe(more: list[str]) -> None:
    words = [*LITE, *more]
    config = with_recipe(compose_config(words), words, None)
    assert config == compose_config([*words, "train=transfer"])
    assert config.train.max_ptq_loss is not None


@pytest.mark.parametrize(
    "words",
    [[*LITE, "train=digits"], [*LITE, "experiment=cifar10"], ["net=efficientnet_lite0"], ["net=net.json", LITE[1]]],
)
def test_what_the_user_chose_stays(words: list[str]) -> None:
    config = compose_config(words)
    assert with_recipe(config, words, None) == config


def test_weights_of_a_run_are_gone_on_with_as_before(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights_file(weights_of(create_model("frostnet_small_0_35", 3))))
    words = ["net=frostnet_small_0_35", f"train.weights={path}"]
    config = compose_config(words)
    assert with_recipe(config, words, None) == config
