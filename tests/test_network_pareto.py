"""The accuracy-latency front and its plot, from artifact data alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostnas.artifacts import NetResult, ParetoRow
from frostnas.config import BudgetConfig
from frostnas.report.pareto_plot import pareto_figure, save_pareto_plot
from frostnas.search.net.pareto import pareto_rows
from frostnas.search.net.scoring import Score
from frostnas.search.net.task import make_task
from frostnas.search.spaces.arch import arch_name
from tests.search_parts import table_of, tiny


@given(accuracies=st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=4, max_size=4))
def test_no_network_is_faster_and_as_accurate_as_one_on_the_front(accuracies: list[float]) -> None:
    space, rng = tiny(), random.Random(0)
    task = make_task(BudgetConfig(), space, table_of(space), 1)
    archs = [space.draw(rng) for _ in accuracies]
    scores = {arch_name(arch): Score(top1, -1.0) for arch, top1 in zip(archs, accuracies, strict=True)}
    rows = pareto_rows(task, scores, archs[0])
    assert [row.latency_ms for row in rows] == sorted(row.latency_ms for row in rows)
    for row in rows:
        beaten = any(other.latency_ms < row.latency_ms and other.top1 >= row.top1 for other in rows)
        assert row.on_front != beaten
    assert [row.network for row in rows if row.picked] == [arch_name(archs[0])]


@pytest.fixture
def artifacts() -> tuple[NetResult, list[ParetoRow]]:
    net = tiny().sample(random.Random(0))
    rows = [ParetoRow(str(n), 0.1 * n, 0.5 + 0.05 * (n % 4), n % 4 == 0, n == 4) for n in range(8)]
    return NetResult(net, "evolution", 0.5, 0.4, "a CPU", 0.6, False, 8, 0, 1.0), rows


def test_the_plot_shows_every_network_the_front_the_budget_and_the_pick(
    artifacts: tuple[NetResult, list[ParetoRow]],
) -> None:
    result, rows = artifacts
    alone = ParetoRow("frostnet_small_0.5", 0.6, 0.7, on_front=False, picked=False, measured=True, alone=True)
    axes = pareto_figure(result, [*rows, alone]).axes[0]
    words = {text.get_text() for text in axes.get_legend().get_texts()}
    assert words == {"scored", "front", "budget", "pick", "trained alone"}
    assert len(axes.collections[0].get_offsets()) == 8
    assert [text.get_text() for text in axes.texts] == ["frostnet_small_0.5"]


def test_the_same_artifacts_give_the_same_files(artifacts: tuple[NetResult, list[ParetoRow]], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = [path.read_bytes() for path in save_pareto_plot(tmp_path, *artifacts)]
    assert first == [path.read_bytes() for path in save_pareto_plot(tmp_path / "other", *artifacts)]
    assert first[0].startswith(b"\x89PNG")
    assert b"<svg" in first[1]
