"""The network space: what it counts, it enumerates; what it samples lies in it; latency bounds are exact."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostnas.artifacts import (
    BlockSpec,
)
from frostnas.config import NetworkSpaceConfig
from frostnas.config.compose import compose_config
from frostnas.errors import InputError
from frostnas.search.spaces.arch import arch_name
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch
from frostnas.search.spaces.trellis import Window
from tests.search_parts import BLOCKS, table_of, tiny


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("factors", [[1.0], [1.0, 1.5]])
def test_count_is_the_number_of_networks_enumerated(block: BlockSpec, factors: list[float]) -> None:
    space = tiny(block, width_factors=factors)
    names = [arch_name(arch) for arch in space]
    keys = {tuple(part.key for part in space.decode(arch).workloads()) for arch in space}
    assert len(names) == len(set(names)) == len(keys) == space.count()


def test_published_space_has_the_published_shape() -> None:
    space = NetworkSpace(from_scratch(NetworkSpaceConfig(), BlockSpec(), [224], 1000))
    slowest = space.decode(
        max((space.draw(random.Random(i)) for i in range(50)), key=lambda a: sum(len(s.ops) for s in a.stages))
    )
    assert slowest.layers[0].block.expand == 1
    assert slowest.layers[0].out_channels == 16
    assert space.count() > 1e15


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), block=st.sampled_from(BLOCKS), factors=st.sampled_from([[1.0], [0.75, 1.0]]))
def test_every_drawn_point_survives_encoding_variation_and_lookup(
    seed: int, block: BlockSpec, factors: list[float]
) -> None:
    rng = random.Random(seed)
    space = tiny(block, width_factors=factors)
    known = {part.key for part in space.workloads()}
    first, second = space.draw(rng), space.draw(rng)
    for arch in (first, second, space.mutate(first, rng, 0.3), space.crossover(first, second, rng)):
        assert space.encode(space.decode(arch)) == arch
        assert space.from_path(space.to_path(arch)) == arch
        assert {part.key for part in space.decode(arch).workloads()} <= known


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), block=st.sampled_from(BLOCKS))
def test_fastest_and_slowest_are_those_of_the_enumeration(seed: int, block: BlockSpec) -> None:
    space = tiny(block)
    table = table_of(space, seed)
    latencies = [table.predict_ms(space.decode(arch)) for arch in space]
    assert space.fastest(table)[1] == min(latencies)
    assert space.slowest(table)[1] == max(latencies)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), low=st.floats(0, 1), high=st.floats(0, 1))
def test_samples_lie_in_their_latency_window(seed: int, low: float, high: float) -> None:
    space = tiny()
    table = table_of(space, seed)
    fastest, slowest = space.fastest(table)[1], space.slowest(table)[1]
    low_ms, high_ms = (fastest + f * (slowest - fastest) for f in sorted((low, high)))
    inside = [a for a in space if low_ms <= table.predict_ms(space.decode(a)) <= high_ms]
    path = Window(space.trellis, table.workload_ms, low_ms, high_ms).sample(random.Random(seed))
    assert (path is None) == (not inside) or len(inside) <= 1
    assert path is None or space.from_path(path) in inside


def test_samples_under_a_budget_are_uniform() -> None:
    space = tiny()
    table = table_of(space)
    fastest, slowest = space.fastest(table)[1], space.slowest(table)[1]
    budget = (fastest + slowest) / 2
    inside = [arch_name(a) for a in space if table.predict_ms(space.decode(a)) <= budget]
    window = Window(space.trellis, table.workload_ms, 0, budget)
    rng = random.Random(0)
    counts = Counter(arch_name(space.from_path(path)) for _ in range(200 * len(inside)) if (path := window.sample(rng)))
    assert set(counts) == set(inside)
    assert all(140 <= count <= 260 for count in counts.values())


def test_nets_of_the_space_fit_together() -> None:
    space = NetworkSpace(from_scratch(NetworkSpaceConfig(), BlockSpec(), [224], 1000))
    parts = list(space.sample(random.Random(1)).workloads())
    assert parts[0].size == 224
    assert parts[-1].size == 7
    assert all(after.size <= before.size for before, after in pairwise(parts))


def test_a_network_of_another_space_is_refused() -> None:
    net = tiny().sample(random.Random(0))
    with pytest.raises(InputError, match="not in the network space"):
        tiny(BlockSpec(reuse="none")).encode(net)


@pytest.mark.parametrize(
    "override", ["space.network.depths=[2]", "space.network.kernels=[4]", "space.network.widths=[8,8,0]"]
)
def test_a_skeleton_that_makes_no_network_names_its_key(override: str) -> None:
    config = compose_config([override]).space.network
    with pytest.raises(InputError, match=override.partition("=")[0]):
        from_scratch(config, BlockSpec(), [16], 10)
