"""The size of the images as a decision of the network space."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from frostnas.engine import Workspace
from frostnas.pipeline.peak import say_peak, search_peak
from frostnas.pipeline.session import Session
from frostnas.quant import Scheme
from frostnas.search.net.policy import Sandwich
from frostnas.search.net.supernet import Supernet
from frostnas.search.spaces.arch import arch_name, parse_arch
from tests.search_parts import table_of, tiny, tiny_config

SIZES = (8, 12, 16)


def test_every_size_has_the_networks_of_a_single_size() -> None:
    space = tiny(sizes=SIZES)
    assert space.count() == len(SIZES) * tiny().count() == len(set(map(arch_name, space)))
    assert {arch.size for arch in space} == set(SIZES)
    assert all(parse_arch(arch_name(arch)) == arch for arch in space)


def test_points_of_all_sizes_survive_encoding_variation_and_lookup() -> None:
    space, rng = tiny(sizes=SIZES), random.Random(0)
    known, table = {part.key for part in space.workloads()}, table_of(space)
    seen = set()
    for _ in range(30):
        first, second = space.draw(rng), space.draw(rng)
        for arch in (first, second, space.mutate(first, rng, 0.3), space.crossover(first, second, rng)):
            net = space.decode(arch)
            assert net.image_size == arch.size
            assert space.from_path(space.to_path(arch)) == arch
            assert {part.key for part in net.workloads()} <= known and table.covers(net)
            seen.add(arch.size)
    assert seen == set(SIZES)


def test_a_path_sees_the_pictures_at_its_own_size() -> None:
    space = tiny(sizes=SIZES)
    supernet = Supernet(space, Scheme()).eval()
    pixels = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for size in SIZES:
        arch = next(arch for arch in space if arch.size == size)
        small = torch.nn.functional.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
        with torch.no_grad():
            assert torch.equal(supernet(pixels, arch), supernet.extract(arch).eval()(small if size < 16 else pixels))


def test_networks_of_all_sizes_have_one_set_of_weights() -> None:
    one, all_sizes = (
        sum(p.numel() for p in Supernet(space, Scheme()).parameters()) for space in (tiny(), tiny(sizes=SIZES))
    )
    assert one == all_sizes


def test_a_sandwich_holds_the_largest_network_and_others() -> None:
    space = tiny(sizes=SIZES)
    steps = [Sandwich(space, 0, 2).paths(0, step) for step in range(20)]
    assert {len(step) for step in steps} == {3}
    assert {step[0] for step in steps} == {space.largest}
    assert space.largest.size == 16 and [len(stage.ops) for stage in space.largest.stages] == [2, 1]
    assert {arch.size for step in steps for arch in step[1:]} == set(SIZES)


@pytest.mark.slow
def test_memory_is_that_of_the_largest_size_and_said(tmp_path: Path) -> None:
    peaks = []
    for sizes in ([8], [8, 24]):
        with Workspace.open(tmp_path, quiet=True) as workspace:
            session = Session(tiny_config(f"space.resolutions={sizes}", "search_net.micro_batches=4"), workspace)
            peaks.append(search_peak(session, None, 10**6))  # where nothing but the images counts
            say_peak(session, None)
    assert peaks[1] > 4 * peaks[0]
    said = (tmp_path / "frostnas.log").read_text()
    assert "search-net: training will hold up to about" in said and "(16 images of 24 pixels at once)" in said
