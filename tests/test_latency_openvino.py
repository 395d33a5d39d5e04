"""OpenVINO as the runtime that is measured: the same files, or one line where it is missing."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from frostnas.config import LatencyConfig, RuntimeName
from frostnas.errors import InputError
from frostnas.latency.job import Job
from frostnas.latency.measure import perform
from frostnas.latency.models import network_model, workload_model
from frostnas.latency.targets import open_target
from frostnas.quant import Scheme
from tests.latency_parts import NET, WORKLOADS

CONFIG = replace(LatencyConfig(), runtime=RuntimeName.openvino, rounds=2, round_ms=0.1)
HERE = find_spec("openvino") is not None


@pytest.mark.skipif(HERE, reason="OpenVINO is installed")
def test_without_openvino_the_extra_is_named() -> None:
    with pytest.raises(InputError, match=r"frostnas\[openvino\]"), open_target(CONFIG):
        pass


@pytest.mark.skipif(not HERE, reason="OpenVINO is not installed: pip install 'frostnas[openvino]'")
def test_it_runs_the_files_that_onnxruntime_runs(tmp_path: Path) -> None:
    job = Job(tmp_path, CONFIG)
    for workload in WORKLOADS:
        job.add(workload.key, workload_model(workload, Scheme()))
    job.add("network", network_model(NET, Scheme()))
    job.close()
    session = perform(job)
    assert session.runtime_version.startswith("20")
    assert all(measured.hot.p50 > 0 for measured in session.models.values())
