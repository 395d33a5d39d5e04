"""Stage `profile-latency`: every workload of a space measured, calibrated and checked on whole networks."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from frostnas.artifacts import LatencyTable, NetSpec, Protocol, Timing, Workload, row_of
from frostnas.config import Config, LatencyConfig, Precision, QuantConfig
from frostnas.engine import Workspace
from frostnas.latency import calibration
from frostnas.latency.calibration import Sample
from frostnas.latency.local import Measured, measure
from frostnas.latency.models import network_model, one_thread, workload_model
from frostnas.quant import Scheme


def scheme_of(quant: QuantConfig) -> Scheme:
    """The integer scheme that models are timed in."""
    return Scheme(quant.weight_bits, quant.signed_activations)


def run(
    config: Config, workloads: Sequence[Workload], sample: Callable[[random.Random], NetSpec], workspace: Workspace
) -> LatencyTable:
    """Measure ``workloads`` and networks from ``sample`` in one session, fit the calibration and check it.

    Raises:
        MeasuringError: the measuring agent failed.
    """
    start = time.monotonic()
    latency = config.latency
    nets = _different(sample, random.Random(config.seed), latency.fit_networks + latency.held_out_networks)
    quantized = latency.precision is Precision.int8
    workspace.say(f"profile-latency: {len(workloads)} workloads, {len(nets)} whole networks")
    with tempfile.TemporaryDirectory(prefix="frostnas-models-") as name:
        scheme = scheme_of(config.quant)
        files: dict[str, Path] = {}
        with workspace.progress("emit", len(workloads) + len(nets)) as bar, one_thread():
            for workload in workloads:
                model = workload_model(workload, scheme, latency.batch, quantized=quantized)
                files[workload.key] = _write(model, Path(name), len(files))
                bar.step()
            for index, net in enumerate(nets):
                model = network_model(net, scheme, quantized=quantized)
                files[_net_name(index)] = _write(model, Path(name), len(files))
                bar.step()
        session = measure(files, latency)
    samples = [_sample(net, session.models, _net_name(index)) for index, net in enumerate(nets)]
    fitted, held_out = samples[: latency.fit_networks], samples[latency.fit_networks :]
    fit = calibration.fit(fitted)
    rows = [row_of(w, session.models[w.key].hot, session.models[w.key].round_robin) for w in workloads]
    return LatencyTable(
        host=session.host,
        protocol=Protocol(
            runtime=latency.runtime.value,
            runtime_version=session.runtime_version,
            precision=latency.precision.value,
            threads=latency.threads,
            cpus=session.cpus,
            batch=latency.batch,
            activation_type="int8" if scheme.signed_activations else "uint8",
            weight_bits=scheme.weight_bits,
        ),
        calibration=fit,
        fitted=calibration.validate(fit, fitted),
        held_out=calibration.validate(fit, held_out),
        repeatability=float(np.median([_spread(session.models[w.key].hot) for w in workloads])),
        seconds=time.monotonic() - start,
        csv_sha256="",
        rows=tuple(rows),
    )


def measure_nets(latency: LatencyConfig, quant: QuantConfig, specs: Sequence[NetSpec]) -> list[float]:
    """INT8 latency in ms of whole networks with random weights, one image, in one interleaved session."""
    with tempfile.TemporaryDirectory(prefix="frostnas-models-") as name:
        scheme = scheme_of(quant)
        files: dict[str, Path] = {}
        with one_thread():
            for index, spec in enumerate(specs):
                files[str(index)] = _write(network_model(spec, scheme), Path(name), index)
        session = measure(files, replace(latency, batch=1))
    return [session.models[str(index)].hot.p50 for index in range(len(specs))]


def _different(sample: Callable[[random.Random], NetSpec], rng: random.Random, number: int) -> list[NetSpec]:
    """Up to ``number`` different networks."""
    found: dict[NetSpec, None] = {}
    for _ in range(20 * number):
        found.setdefault(sample(rng))
        if len(found) == number:
            break
    return list(found)


def _write(model: onnx.ModelProto, folder: Path, index: int) -> Path:
    path = folder / f"{index}.onnx"
    onnx.save(model, path)
    return path


def _net_name(index: int) -> str:
    return f"network-{index}"


def _sample(net: NetSpec, measured: Mapping[str, Measured], name: str) -> Sample:
    parts = [measured[workload.key] for workload in net.workloads()]
    return Sample(
        hot=sum(part.hot.p50 for part in parts),
        round_robin=sum(part.round_robin.p50 for part in parts),
        parts=len(parts),
        measured=measured[name].hot.p50,
    )


def _spread(timing: Timing) -> float:
    return (timing.p90 - timing.p10) / max(timing.p50, 1e-6)
