"""Latency: models of workloads are integer throughout, the calibration predicts, the table refuses what it must."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostnas.artifacts import (
    BlockSpec,
    HeadSpec,
    LatencyTable,
    LayerSpec,
    NetSpec,
    StemSpec,
    Timing,
    Workload,
    read_rows,
    row_of,
    write_rows,
)
from frostnas.config import LatencyConfig
from frostnas.deploy.integer_check import optimized_graph
from frostnas.errors import InputError
from frostnas.latency import calibration
from frostnas.latency.calibration import Sample
from frostnas.latency.local import AGENT, facts, host_of, measure
from frostnas.latency.models import network_model, workload_model
from frostnas.quant import Scheme

FROST = LayerSpec(BlockSpec(), 32, 1)
WORKLOADS = [
    Workload(StemSpec(16, 2), 3, 16),
    Workload(FROST, 32, 8),
    Workload(replace(FROST, stride=2), 32, 8),
    Workload(replace(FROST, block=BlockSpec(activation="hard_swish", gate="squeeze_excite")), 16, 8),
    Workload(HeadSpec(64, classes=10), 32, 4),
]
NET = NetSpec("n", 16, StemSpec(16, 2), (LayerSpec(BlockSpec(), 32, 1), FROST), HeadSpec(64, classes=10))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.kind)
def test_a_workload_is_timed_in_integers_without_inner_transposes(workload: Workload, tmp_path: Path) -> None:
    onnx.save(workload_model(workload, Scheme()), tmp_path / "w.onnx")
    kinds = [node.op_type for node in optimized_graph(tmp_path / "w.onnx").graph.node]
    assert not {"Conv", "Add", "Mul", "Concat", "GlobalAveragePool", "Relu", "Clip"} & set(kinds)
    # Only a stem's image and a head's logits are moved between layouts.
    assert kinds.count("Transpose") <= (0 if workload.kind == "block" else 1)


def test_equal_keys_give_equal_models() -> None:
    narrow = Workload(LayerSpec(BlockSpec(reuse="squeeze_4"), 16, 1), 16, 8)  # too few channels to squeeze
    same = Workload(LayerSpec(BlockSpec(reuse="none"), 16, 1), 16, 8)
    assert narrow.key == same.key
    nodes = [[n.op_type for n in workload_model(w, Scheme()).graph.node] for w in (narrow, same)]
    assert nodes[0] == nodes[1]


def test_an_fp32_workload_has_no_quantizers() -> None:
    kinds = {node.op_type for node in workload_model(WORKLOADS[1], Scheme(), quantized=False).graph.node}
    assert not {"QuantizeLinear", "DequantizeLinear"} & kinds


def test_the_agent_measures_and_says_where(tmp_path: Path) -> None:
    onnx.save(network_model(NET, Scheme()), tmp_path / "small.onnx")
    large = replace(NET, image_size=64)
    onnx.save(network_model(large, Scheme()), tmp_path / "large.onnx")
    config = LatencyConfig(rounds=3, round_ms=2)
    session = measure({"small": tmp_path / "small.onnx", "large": tmp_path / "large.onnx"}, config)
    assert 0 < session.models["small"].hot.p50 < session.models["large"].hot.p50
    assert session.host == host_of(facts()) and not session.host.emulated
    assert len(session.cpus) == 1


def test_the_agent_refuses_a_model_that_is_not_in_its_manifest(tmp_path: Path) -> None:
    onnx.save(network_model(NET, Scheme()), tmp_path / "0.onnx")
    listed = [{"name": "n", "file": "0.onnx", "sha256": "0" * 64}]
    manifest = {"threads": 1, "batch": 1, "cpus": [], "rounds": 2, "round_ms": 1, "empty": "0.onnx", "models": listed}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    done = subprocess.run([sys.executable, AGENT, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "0.onnx is not the model" in done.stderr
    assert not (tmp_path / "results.json").exists()


def test_the_agent_needs_only_python_3_8_numpy_and_onnxruntime() -> None:
    tree = ast.parse(AGENT.read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime"}


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


def table(rows: int) -> LatencyTable:
    """A table over the first workloads of `NET`: 1 ms each."""
    from frostnas.artifacts import Calibration, Protocol, Validation

    nothing = Validation(1, 0, 0, 0, 1)
    timing = Timing(0.9, 1.0, 1.1)
    return LatencyTable(
        host_of(facts()),
        Protocol("onnxruntime", "1", "int8", 1, (0,), 1, "uint8", 8),
        Calibration(0.5, 0.25, 0.125),
        nothing,
        nothing,
        0.01,
        1.0,
        "",
        tuple(row_of(workload, timing, timing) for workload in list(NET.workloads())[:rows]),
    )


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


def test_predictions_rank_networks_as_measured(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = [Sample(h, 1.2 * h, 8, h * (1 + rng.normal(0, 0.01))) for h in rng.uniform(1, 3, 20)]
    assert calibration.validate(calibration.fit(samples[:10]), samples[10:]).spearman > 0.95
