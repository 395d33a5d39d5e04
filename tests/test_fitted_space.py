"""A skeleton that follows from the image size: the last map, and MobileNetV2's cost in the middle of the space."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostnas.artifacts import Provenance, save
from frostnas.artifacts.space import FittedSpace
from frostnas.config import NetworkSpaceConfig, ProxyConfig
from frostnas.config.compose import compose_config
from frostnas.engine import Workspace
from frostnas.errors import InputError
from frostnas.nets import NAMED_BLOCKS, count, zoo_spec
from frostnas.pipeline import Session
from frostnas.pipeline.fit import SPACE, fit_space
from frostnas.search.net.resources import ResourceCounter
from frostnas.search.spaces.fit import fitted, fitted_proxy
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch


def space_for(size: int) -> NetworkSpace:
    return NetworkSpace(from_scratch(fitted(NetworkSpaceConfig(fit=True), size), NAMED_BLOCKS["frost"], [size], 10))


@given(st.integers(16, 300))
@settings(max_examples=30)
def test_the_last_map_has_four_to_seven_pixels_a_side(size: int) -> None:
    (head,) = {part.size for part in space_for(size).workloads() if part.kind == "head"}
    assert 4 <= head <= 7


@pytest.mark.parametrize("size", [24, 64, 224])
def test_mobilenet_v2_costs_much_more_than_the_least_and_half_of_the_most(size: int) -> None:
    space, cost = space_for(size), ResourceCounter().macs
    named = count(zoo_spec("mobilenet_v2_1_0", 10, size)).macs
    least, most = (space.trellis.cheapest(cost, dearest=dearest)[1] for dearest in (False, True))
    assert least < 0.33 * named
    assert most > 2 * named


def test_a_given_skeleton_stays_as_it_is() -> None:
    config = NetworkSpaceConfig(widths=[16], depths=[2], strides=[1])
    assert fitted(config, 64) is config


def test_what_was_fitted_is_a_plain_skeleton() -> None:
    config = fitted(NetworkSpaceConfig(fit=True, kernels=[3]), 64)
    assert not config.fit and config.kernels == [3]
    assert fitted(config, 128) is config


def test_the_proxy_of_the_block_search_follows_unless_it_is_given() -> None:
    assert fitted_proxy(ProxyConfig(), 64) == ProxyConfig()
    assert fitted_proxy(ProxyConfig(), 128) == ProxyConfig(stem_stride=4)
    own = ProxyConfig(widths=[16, 24])
    assert fitted_proxy(own, 128) == own


def test_a_skeleton_of_ones_own_beside_a_fitted_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"space.network.widths=\[16\]: expected space.network.fit=false"):
        compose_config(["space=[block,fitted]", "space.network.widths=[16]"])


def test_a_budget_that_no_skeleton_holds_is_refused_with_what_would(tmp_path: Path) -> None:
    words = ["space=[block,fitted]", "budget.latency_ms=100000", "latency.rounds=2", "latency.round_ms=0.1"]
    with Workspace.open(tmp_path, quiet=True) as workspace, pytest.raises(InputError) as refused:
        fit_space(Session(compose_config(words), workspace))
    assert "budget.latency_ms=100000: networks for images of 16 pixels take" in str(refused.value)
    assert "a larger data.image_size" in str(refused.value)


def test_widths_that_were_chosen_for_a_budget_are_kept(tmp_path: Path) -> None:
    words = ["space=[block,fitted]", "budget.latency_ms=100000", "latency.rounds=2", "latency.round_ms=0.1"]
    save(tmp_path / SPACE, FittedSpace(16, 100000.0, 2.0, 1.0, 2.0), Provenance())
    with Workspace.open(tmp_path, quiet=True) as workspace:
        session = Session(compose_config(words), workspace)
        fit_space(session)
    assert session.config.space.network == fitted(NetworkSpaceConfig(fit=True), 16, 2.0)
