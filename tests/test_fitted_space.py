"""A skeleton that follows from the image size: the last map, and MobileNetV2's cost in the middle of the space."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostnas.config import NetworkSpaceConfig
from frostnas.nets import NAMED_BLOCKS, count, zoo_spec
from frostnas.search.net.resources import ResourceCounter
from frostnas.search.spaces.fit import fitted
from frostnas.search.spaces.network import NetworkSpace


def space_for(size: int) -> NetworkSpace:
    return NetworkSpace(fitted(NetworkSpaceConfig(fit=True), size), NAMED_BLOCKS["frost"], size, 10)


@given(st.integers(16, 300))
@settings(max_examples=30)
def test_the_last_map_has_four_to_seven_pixels_a_side(size: int) -> None:
    (head,) = {part.size for part in space_for(size).workloads() if part.kind == "head"}
    assert 4 <= head <= 7


@pytest.mark.parametrize("size", [24, 32, 48, 64, 96, 128, 160, 224])
def test_mobilenet_v2_costs_more_than_the_least_and_half_of_the_most(size: int) -> None:
    space, cost = space_for(size), ResourceCounter().macs
    named = count(zoo_spec("mobilenet_v2_1_0", 10, size)).macs
    least, most = (space.trellis.cheapest(cost, dearest=dearest)[1] for dearest in (False, True))
    assert least < 0.3 * named
    assert most > 1.9 * named


def test_a_given_skeleton_stays_as_it_is() -> None:
    config = NetworkSpaceConfig(widths=[16], depths=[2], strides=[1])
    assert fitted(config, 64) is config


def test_what_was_fitted_is_a_plain_skeleton() -> None:
    config = fitted(NetworkSpaceConfig(fit=True, kernels=[3]), 64)
    assert not config.fit and config.kernels == [3]
    assert fitted(config, 128) is config
