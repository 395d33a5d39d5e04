"""Models of workloads are the integer arithmetic that the network runs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from frostnas.artifacts import BlockSpec, LayerSpec, Workload
from frostnas.deploy.onnx.integers import optimized_graph
from frostnas.latency.models import network_model, workload_model
from frostnas.quant import Scheme
from tests.latency_parts import NET, WORKLOADS


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
    first, second = (workload_model(w, Scheme()).SerializeToString() for w in (narrow, same))
    assert first == second


def test_an_fp32_workload_has_no_quantizers() -> None:
    kinds = {node.op_type for node in workload_model(WORKLOADS[1], Scheme(), quantized=False).graph.node}
    assert not {"QuantizeLinear", "DequantizeLinear"} & kinds


def test_emitting_twice_gives_the_same_bytes() -> None:
    first, second = (network_model(NET, Scheme()).SerializeToString() for _ in range(2))
    assert first == second
