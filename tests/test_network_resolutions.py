"""The size of the images as a decision of the network space."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from frostnas.config import BudgetConfig
from frostnas.data import load
from frostnas.engine import Workspace
from frostnas.errors import InputError
from frostnas.pipeline.peak import say_peak, search_peak
from frostnas.pipeline.session import Session
from frostnas.quant import Scheme
from frostnas.search.net.finals import winner
from frostnas.search.net.policy import NearPaths, Sandwich
from frostnas.search.net.scoring import Score
from frostnas.search.net.stage import run
from frostnas.search.net.strategies import Scored
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.task import make_task
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


@pytest.mark.parametrize(("gain", "kept"), [(0.0, True), (0.02, True), (0.05, False), (-0.1, True)])
def test_the_whole_network_stays_unless_another_is_better_by_more_than_chance(gain: float, kept: bool) -> None:
    space = tiny(sizes=SIZES)
    part = space.draw(random.Random(0))
    found = [Scored(part, Score(0.8 + gain, -0.5 + gain)), Scored(space.largest, Score(0.8, -0.51))]
    won, said = winner(found, space.largest, 200)  # of 200 images an error of 2.6 to 2.8 points
    assert (won.arch == space.largest) is kept and arch_name(won.arch) in said
    assert winner(found[:1], None, 200)[0].arch == part


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


def test_steps_near_budgets_take_networks_of_their_latency_or_somewhat_less() -> None:
    space = tiny(sizes=SIZES)
    table = table_of(space)
    tasks = [make_task(BudgetConfig(fraction=one), space, table, 4) for one in (0.3, 0.9)]
    policy = NearPaths(tasks, 0.8, 0)
    drawn = [policy.paths(0, step) for step in range(60)]
    assert drawn == [policy.paths(0, step) for step in range(60)]
    latencies = [tasks[0].latency_ms(arch) for (arch,) in drawn]
    low, high = ([0.8 * task.budget_ms <= one <= task.budget_ms for one in latencies] for task in tasks)
    assert any(low) and any(high) and all(one or other for one, other in zip(low, high, strict=True))
    spread = tasks[1].spread(8, 0, near=0.8)
    spread_ms = [tasks[1].latency_ms(arch) for arch in spread]
    assert spread and all(0.8 * tasks[1].budget_ms <= one <= tasks[1].budget_ms for one in spread_ms)
    assert len(tasks[1].spread(8, 0)) > 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search_net=gradient", "search_net.near=0.5"], r"near=0\.5: expected 0 with search_net=gradient"),
        (["search_net.sandwich=1", "search_net.near=0.5"], r"near=0\.5: expected 0 with search_net\.sandwich=1"),
    ],
)
def test_ways_to_draw_that_exclude_each_other_are_named(tmp_path: Path, words: list[str], said: str) -> None:
    config, space = tiny_config(*words), tiny()
    with Workspace.open(tmp_path, quiet=True) as workspace, pytest.raises(InputError, match=said):
        run(config, load(config.data, torch.device("cpu")), space, table_of(space), workspace, "")
