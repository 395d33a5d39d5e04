"""Stage `profile-latency`: every workload of a space measured, calibrated and checked on whole networks."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from frostnas.artifacts import CheckedNetwork, LatencyTable, NetSpec, Protocol, Timing, Workload, row_of
from frostnas.config import Config, LatencyConfig, Precision, RuntimeName
from frostnas.engine import Bar, Workspace
from frostnas.latency import calibration
from frostnas.latency.calibration import Sample
from frostnas.latency.doubts import doubts
from frostnas.latency.job import Job, Measured, Results
from frostnas.latency.models import network_model, one_thread, workload_model
from frostnas.latency.operations import shares
from frostnas.latency.targets import OnRound, open_target
from frostnas.quant import Scheme

PROFILED = 4  # whole networks whose operations are timed one by one
LEAST_HELD_OUT = 2


def run(
    config: Config, workloads: Sequence[Workload], sample: Callable[[random.Random], NetSpec], workspace: Workspace
) -> LatencyTable:
    """Measure ``workloads`` and networks from ``sample`` in one session, fit the calibration and check it.

    An interrupted measurement goes on from the last finished round.

    Raises:
        MeasuringError: the measuring agent failed.
    """
    start = time.monotonic()
    latency, scheme = config.latency, Scheme.of(config.quant)
    nets = _different(sample, random.Random(config.seed), latency.fit_networks + latency.held_out_networks)
    job = Job(workspace.checkpoints / "latency", latency)
    with open_target(latency, lambda line: workspace.say(f"profile-latency: {line}")) as target:
        workspace.say(f"profile-latency: {len(workloads)} workloads, {len(nets)} whole networks")
        _emit(job, workloads, nets, scheme, workspace)
        with workspace.progress("measure", latency.rounds) as bar:
            target.measure(job.folder, _steps(bar))
    session = job.session()
    samples = [_sample(net, session.models, _net_name(index)) for index, net in enumerate(nets)]
    cut = min(latency.fit_networks, len(samples) - LEAST_HELD_OUT)  # a small space has fewer networks than asked for
    fitted, held_out = samples[:cut], samples[cut:]
    fit = calibration.fit(fitted)
    checked = calibration.validate(fit, held_out)
    repeatability = float(np.median([_spread(session.models[w.key].hot) for w in workloads]))
    found = tuple(doubts(session.host, session.governor, scheme.weight_bits, repeatability, checked))
    for doubt in found:
        workspace.say(f"profile-latency: warning: {doubt}")
    shutil.rmtree(job.folder)
    return LatencyTable(
        host=session.host,
        protocol=_protocol(latency, scheme, session),
        calibration=fit,
        fitted=calibration.validate(fit, fitted),
        held_out=checked,
        repeatability=repeatability,
        seconds=time.monotonic() - start,
        csv_sha256="",
        rows=tuple(row_of(w, session.models[w.key].hot, session.models[w.key].round_robin) for w in workloads),
        target=latency.target.name.value,
        address=latency.target.host,
        operations=shares(session.operations),
        networks=tuple(
            CheckedNetwork(calibration.predict(fit, one), one.measured, held_out=number >= cut)
            for number, one in enumerate(samples)
        ),
        warnings=found,
    )


def _protocol(latency: LatencyConfig, scheme: Scheme, session: Results) -> Protocol:
    return Protocol(
        runtime=latency.runtime.value,
        runtime_version=session.runtime_version,
        precision=latency.precision.value,
        threads=latency.threads,
        cpus=session.cpus,
        batch=latency.batch,
        activation_type="int8" if scheme.signed_activations else "uint8",
        weight_bits=scheme.weight_bits,
    )


def _steps(bar: Bar) -> OnRound:
    """Moves the bar to the number of every finished round."""
    done = 0

    def on_round(number: int) -> None:
        nonlocal done
        bar.step(number - done)
        done = number

    return on_round


def _emit(
    job: Job, workloads: Sequence[Workload], nets: Sequence[NetSpec], scheme: Scheme, workspace: Workspace
) -> None:
    """Write the models of all workloads, by key, and of all networks."""
    quantized = job.config.precision is Precision.int8
    with workspace.progress("emit", len(workloads) + len(nets)) as bar, one_thread():
        for workload in workloads:
            job.add(workload.key, workload_model(workload, scheme, job.config.batch, quantized=quantized))
            bar.step()
        for index, net in enumerate(nets):
            job.add(_net_name(index), network_model(net, scheme, quantized=quantized))
            bar.step()
    profiled = PROFILED if job.config.runtime is RuntimeName.onnxruntime else 0
    job.close(operations_of=[_net_name(index) for index in range(min(profiled, len(nets)))])


def _different(sample: Callable[[random.Random], NetSpec], rng: random.Random, number: int) -> list[NetSpec]:
    """Up to ``number`` different networks."""
    found: dict[NetSpec, None] = {}
    for _ in range(20 * number):
        found.setdefault(sample(rng))
        if len(found) == number:
            break
    return list(found)


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
