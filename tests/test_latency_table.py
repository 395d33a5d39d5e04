"""The calibration predicts whole networks, the table says what it holds and refuses what it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostnas.artifacts import read_rows, write_rows
from frostnas.errors import InputError
from frostnas.latency import calibration
from frostnas.latency.calibration import Sample
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
