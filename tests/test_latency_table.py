"""The calibration predicts whole networks, the table says what it holds and refuses what it must."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostnas.artifacts import Host, Validation, read_rows, write_rows
from frostnas.config.compose import compose_config
from frostnas.errors import InputError
from frostnas.latency import calibration
from frostnas.latency.calibration import Sample
from frostnas.latency.doubts import doubts
from frostnas.latency.models import network_model
from frostnas.latency.operations import shares
from frostnas.latency.pace import measure_beside
from frostnas.latency.variations import vary
from frostnas.nets import zoo_spec
from frostnas.quant import Scheme
from tests.latency_parts import NET, table


@given(
    st.lists(st.tuples(st.floats(0.1, 5), st.floats(0.1, 5), st.integers(3, 30)), min_size=8, max_size=20, unique=True),
    st.floats(0.5, 2),
    st.floats(0, 0.05),
)
def test_the_calibration_recovers_an_exact_law(
    sums: list[tuple[float, float, int]], hot: float, per_block: float
) -> None:
    samples = [Sample(h, r, n, hot * h + 0.1 * r + per_block * n) for h, r, n in sums]
    fit = calibration.fit(samples)
    assert calibration.validate(fit, samples).max_error < 1e-6
    assert min(fit.hot, fit.round_robin, fit.per_block_ms) >= 0


def test_a_network_costs_the_calibrated_sum_of_its_parts() -> None:
    assert table(4).predict_ms(NET) == pytest.approx(4 * (0.5 + 0.25 + 0.125))
    assert table(4).covers(NET) and not table(3).covers(NET)


def test_files_are_timed_beside_what_the_table_holds(tmp_path: Path) -> None:
    latency, scheme = compose_config(["latency.round_ms=1"]).latency, Scheme()
    path = tmp_path / "net.onnx"
    path.write_bytes(network_model(NET, scheme).SerializeToString())
    paces = []
    for slower in (1.0, 1000.0):
        held = table(rows=len(list(NET.workloads())))
        rows = tuple(replace(row, hot_ms_p50=slower * row.hot_ms_p50) for row in held.rows)
        (timing,), pace = measure_beside([path], latency, replace(held, rows=rows), NET, scheme)
        assert timing.p50 > 0
        paces.append(pace)
    assert 0 < 30 * paces[1] < paces[0]


def test_a_missing_workload_is_named() -> None:
    missing = list(NET.workloads())[3].key
    with pytest.raises(InputError, match=missing):
        table(3).predict_ms(NET)


def test_rows_read_back_and_an_edited_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latency.csv"
    digest = write_rows(path, table(4).rows)
    assert read_rows(path, digest) == table(4).rows
    path.write_text(path.read_text().replace("1.0", "0.5", 1))
    with pytest.raises(InputError, match="profile again"):
        read_rows(path, digest)


def test_columns_say_what_they_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "latency.csv", table(4).rows)
    header = (tmp_path / "latency.csv").read_text().splitlines()[0].split(",")
    shape = {"kernel", "in_channels", "out_channels", "expand", "squeeze", "stride", "height", "width"}
    assert shape | {"hot_ms_p50", "round_robin_ms_p50"} <= set(header)


def test_predictions_rank_networks_as_measured() -> None:
    rng = np.random.default_rng(0)
    samples = [Sample(h, 1.2 * h, 8, h * (1 + rng.normal(0, 0.01))) for h in rng.uniform(1, 3, 20)]
    assert calibration.validate(calibration.fit(samples[:10]), samples[10:]).spearman > 0.95


def test_a_prediction_that_is_the_same_for_all_networks_ranks_none() -> None:
    """On a busy machine the times of the parts may explain nothing: the fit leaves their number alone, often equal."""
    samples = [Sample(1, 1, 8, 2), Sample(2, 2, 8, 2), Sample(3, 3, 8, 2)]
    fit = calibration.fit(samples)
    assert fit.hot == fit.round_robin == 0
    assert calibration.validate(fit, [Sample(1, 2, 8, 1.5), Sample(2, 3, 8, 2.5)]).spearman == 0
    assert calibration.validate(fit, [Sample(1, 2, 8, 1.5), Sample(2, 3, 8, 1.5)]).spearman == 0


def test_shares_add_up_over_networks_of_any_size() -> None:
    found = shares([{"layers.1.expand.conv|QLinearConv": 3.0, "top|QLinearAdd": 1.0}, {"stem.conv|QLinearConv": 5.0}])
    assert {one.operation: one.share for one in found} == pytest.approx(
        {"stem QLinearConv": 0.5, "expand QLinearConv": 0.375, "QLinearAdd": 0.125}
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"governor": "powersave"}, "powersave"),
        ({"repeatability": 0.4}, "busy"),
        ({"held_out": Validation(10, 0.03, 0.04, 0.05, 0.9)}, "3.0%"),
        ({"held_out": Validation(10, 0.01, 0.02, 0.03, 0.0)}, "do not tell fast networks from slow ones"),
        ({"host": Host("aarch64", "board", ("asimddp",), "Linux", emulated=True)}, "emulated"),
        ({"host": Host("x86_64", "old", ("avx2",), "Linux")}, "quant.weight_bits=7"),
        ({}, ""),
    ],
)
def test_what_speaks_against_a_table_is_said(change: dict[str, Any], said: str) -> None:
    quiet = {
        "host": Host("x86_64", "new", ("avx512_vnni",), "Linux"),
        "governor": "performance",
        "weight_bits": 8,
        "repeatability": 0.01,
        "held_out": Validation(10, 0.01, 0.02, 0.03, 0.99),
    }
    found = list(doubts(**{**quiet, **change}))
    assert len(found) == bool(said) and said in "".join(found)


def test_other_networks_of_one_networks_parts_need_no_other_workload() -> None:
    net = zoo_spec("frostnet_small_1_0", 10, 64)
    rng = random.Random(0)
    others = {vary(net, rng) for _ in range(20)}
    known = {workload.key for workload in net.workloads()}
    assert len(others) > 10
    assert {workload.key for other in others for workload in other.workloads()} <= known
    with pytest.raises(InputError, match="net=n: fewer than two"):
        vary(NET, rng)
