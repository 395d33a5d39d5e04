"""The published networks, to the digit."""

from __future__ import annotations

import msgspec
import pytest
import torch

import frostnas
from frostnas.artifacts import NetSpec
from frostnas.nets import count, zoo_names, zoo_spec
from frostnas.quant import ActivationQuantizer, QuantState, Scheme, set_state

PUBLISHED = {
    "frostnet_small_1_0": (4_858_776, 315_344_912),
    "frostnet_base_1_0": (5_001_712, 362_851_392),
    "frostnet_large_1_0": (5_807_056, 430_813_216),
    "frostnet_large_0_5": (2_603_056, 131_715_648),
}


def test_there_are_fifteen_published_frostnets() -> None:
    widths = ("0_35", "0_5", "0_75", "1_0", "1_25")
    wanted = {f"frostnet_{size}_{width}" for size in ("small", "base", "large") for width in widths}
    assert wanted <= set(zoo_names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_adds_are_the_published_ones(name: str) -> None:
    counts = count(zoo_spec(name))
    assert (counts.parameters, counts.macs) == PUBLISHED[name]


def test_a_zoo_network_runs_in_float_and_fake_quantized() -> None:
    model = frostnas.create_model("frostnet_small_0_35", num_classes=10, image_size=32)
    image = torch.randn(2, 3, 32, 32)
    for state in QuantState:
        set_state(model, state)
        assert model(image).shape == (2, 10)


@pytest.mark.parametrize("size", ["small", "base", "large"])
def test_features_only_gives_maps_at_strides_4_to_32(size: str) -> None:
    model = frostnas.create_model(f"frostnet_{size}_1_0", features_only=True).eval()
    assert [(m.channels, m.stride) for m in model.feature_maps] == [(24, 4), (40, 8), (96, 16), (320, 32)]
    maps = model(torch.zeros(1, 3, 64, 64))
    assert [tuple(m.shape) for m in maps] == [(1, 24, 16, 16), (1, 40, 8, 8), (1, 96, 4, 4), (1, 320, 2, 2)]


@pytest.mark.parametrize("name", zoo_names())
def test_every_named_network_is_a_backbone_of_four_maps(name: str) -> None:
    with torch.device("meta"):
        model = frostnas.create_model(name, features_only=True).eval()
        maps = model(torch.empty(1, 3, 64, 64))
    assert [m.stride for m in model.feature_maps] == [4, 8, 16, 32]
    assert [(m.shape[1], 64 // m.shape[2]) for m in maps] == [(m.channels, m.stride) for m in model.feature_maps]


def test_a_backbone_learns_fake_quantized() -> None:
    model = frostnas.create_model("frostnet_small_0_35", features_only=True)
    set_state(model, QuantState.FAKE)
    sum(m.square().mean() for m in model(torch.randn(2, 3, 64, 64))).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_scheme_reaches_every_layer() -> None:
    model = frostnas.create_model("frostnet_small_0_35", scheme=Scheme(weight_bits=7))
    assert {m.scheme.weight_bits for m in model.modules() if isinstance(m, ActivationQuantizer)} == {7}


@pytest.mark.parametrize("numbers", [{"num_classes": 0}, {"image_size": -1}])
def test_numbers_that_make_no_network_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(frostnas.InputError, match="at least 1"):
        frostnas.create_model("frostnet_small_0_35", **numbers)


@pytest.mark.parametrize("name", zoo_names())
def test_every_named_network_survives_its_file(name: str) -> None:
    spec = zoo_spec(name)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=NetSpec) == spec


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(frostnas.InputError, match="frostnet_huge"):
        frostnas.create_model("frostnet_huge")
