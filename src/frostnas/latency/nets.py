"""Whole networks, not trained, timed on the target that the config names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from frostnas.artifacts import NetSpec, scratch
from frostnas.config import LatencyConfig, QuantConfig
from frostnas.latency.job import Job
from frostnas.latency.measure import perform
from frostnas.latency.models import network_model, one_thread
from frostnas.quant import Scheme


def measure_nets(latency: LatencyConfig, quant: QuantConfig, specs: Sequence[NetSpec]) -> list[float]:
    """INT8 latency in ms of whole networks with random weights, one image, in one interleaved session.

    Raises:
        MeasuringError: the agent failed.
    """
    with scratch("latency") as folder:
        job = Job(folder, replace(latency, batch=1))
        with one_thread():
            for index, spec in enumerate(specs):
                job.add(str(index), network_model(spec, Scheme.of(quant)))
        job.close()
        session = perform(job)
    return [session.models[str(index)].hot.p50 for index in range(len(specs))]
