"""The target that docs/new-target.md shows says what machine it is, and measures on it."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch

from frostnas.config import LatencyConfig
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.latency import this_host
from frostnas.latency.job import Job
from frostnas.nets import Net
from frostnas.quant import Scheme
from tests.emitted import as_if_trained
from tests.latency_parts import NET
from tests.pages import blocks


@pytest.mark.slow
def test_the_target_of_the_page_measures(tmp_path: Path) -> None:
    (block,) = (one for one in blocks("new-target.md") if one.language == "python")
    names: dict[str, type] = {}
    exec(compile(block.text, "new-target.md", "exec", dont_inherit=True), names)
    target = names["Behind"]([sys.executable])
    assert target.host == this_host()
    torch.manual_seed(0)
    net = Net(NET, Scheme(7))
    as_if_trained(net, (4, 3, 16, 16))
    onnx.save(emit_net(net, {}, quantized=True), tmp_path / "net.onnx")
    job = Job(tmp_path / "job", LatencyConfig(rounds=3, round_ms=0.1))
    job.add("net", tmp_path / "net.onnx")
    job.close()
    rounds: list[int] = []
    target.measure(job.folder, rounds.append)
    assert rounds[-1] == 3
    assert job.session().models["net"].hot.p50 > 0
