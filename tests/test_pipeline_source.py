"""The normalisation of imported weights becomes the run's own, and another one is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from frostnas import InputError, create_model
from frostnas.artifacts import Convention, Normalisation, Source, sha256_of
from frostnas.config import DataConfig
from frostnas.config.compose import compose_config
from frostnas.data import load
from frostnas.engine import weights_digest, weights_of
from frostnas.nets import read_weights
from frostnas.nets.state_files import weights_file
from frostnas.pipeline.source import other_normalisation, with_normalisation
from tests.test_nets_weights import real_lite0

LITE = ["net=efficientnet_lite0", f"train.weights={real_lite0()}"]


def test_imported_weights_decide_the_normalisation() -> None:
    config = with_normalisation(compose_config(LITE))
    assert config.data.mean == pytest.approx([127 / 255] * 3) and config.data.std == pytest.approx([128 / 255] * 3)
    assert other_normalisation(config) is None
    assert with_normalisation(config) == config


def test_another_normalisation_stays_and_is_said() -> None:
    config = compose_config([*LITE, "data.mean=[0.5,0.5,0.5]", "data.std=[0.25,0.25,0.25]"])
    assert with_normalisation(config) == config
    said = other_normalisation(config)
    assert said is not None and "data.mean=[0.5, 0.5, 0.5]" in said and "was trained with [0.498" in said


def test_weights_that_do_not_say_leave_it_to_the_data(tmp_path: Path) -> None:
    save_file(create_model("mobilenet_v3_small_1_0", 3).state_dict(), tmp_path / "weights.safetensors")
    words = ["net=mobilenet_v3_small_1_0", f"train.weights={tmp_path / 'weights.safetensors'}"]
    for config in (compose_config(words), compose_config(["net=efficientnet_lite0"]), compose_config([])):
        assert with_normalisation(config) == config
        assert config.data.mean is None


def test_a_file_of_ours_says_what_its_network_was_trained_with(tmp_path: Path) -> None:
    source = Source(Convention("same", 1e-3), Normalisation((0.1, 0.2, 0.3), (0.5, 0.25, 0.5)))
    net = create_model("mobilenet_v3_small_1_0", 3)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights_file(weights_of(net), source))
    config = with_normalisation(compose_config(["net=mobilenet_v3_small_1_0", f"train.weights={path}"]))
    assert (config.data.mean, config.data.std) == ([0.1, 0.2, 0.3], [0.5, 0.25, 0.5])
    assert read_weights(str(path)).adapted(net.spec) == net.spec.under(source.convention)
    assert sha256_of(path) == weights_digest(weights_of(net), source)


@pytest.mark.parametrize("said", ["{", '{"convention":{},"normalisation":{"mean":[0,0,0],"std":[0,1,1]}}'])
def test_a_file_of_ours_that_says_nonsense_is_refused(tmp_path: Path, said: str) -> None:
    save_file({"stem.conv.weight": torch.zeros(1)}, tmp_path / "weights.safetensors", {"frostnas": said})
    with pytest.raises(InputError, match=r"train\.weights=.*its metadata cannot be understood"):
        read_weights(str(tmp_path / "weights.safetensors"), "train.weights")


def test_the_images_are_normalised_as_the_config_says() -> None:
    config = DataConfig(image_size=8, mean=[0.1, 0.2, 0.3], std=[0.5, 0.25, 0.5])
    own, given = (load(one, torch.device("cpu")) for one in (replace(config, mean=None, std=None), config))
    assert (given.format.mean, given.format.std) == ((0.1, 0.2, 0.3), (0.5, 0.25, 0.5))
    raw, pixels = (next(iter(one.test.batches(4)))[0] for one in (own, given))
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (own.format.mean, own.format.std))
    wanted = (raw * std + mean - torch.tensor(given.format.mean).view(3, 1, 1)) / torch.tensor(config.std).view(3, 1, 1)
    torch.testing.assert_close(pixels, wanted)


@pytest.mark.parametrize("words", [["data.mean=[0.5,0.5,0.5]"], ["data.mean=[0.5]", "data.std=[0.5]"]])
def test_half_a_normalisation_is_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match=r"data\.mean=.*expected three numbers each"):
        with_normalisation(compose_config(words))
