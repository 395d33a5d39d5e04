"""Finished files, timed on the target that the config names. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from frostnas.artifacts import Host, Timing, scratch
from frostnas.config import LatencyConfig, TargetName
from frostnas.errors import InputError
from frostnas.latency.job import Job, Results
from frostnas.latency.targets import Target, open_target

if TYPE_CHECKING:
    import onnx

FEW_ROUNDS = 30  # of few models: more rounds cost little and bridge a neighbour's burst of work


def perform(job: Job) -> Results:
    """Measure a closed job on the target.

    Raises:
        MeasuringError: the agent failed, or the machine went away.
        InputError: the target cannot measure.
    """
    with _reached(job.config) as target:
        target.measure(job.folder, lambda number: None)
    return job.session()


def target_host(latency: LatencyConfig) -> Host:
    """The machine that the config's target is.

    Raises:
        InputError: it cannot be reached.
    """
    with _reached(latency) as target:
        assert target.host is not None
        return target.host


@contextmanager
def _reached(latency: LatencyConfig) -> Iterator[Target]:
    if latency.target.name is TargetName.bundle:
        raise InputError("latency/target=bundle: only profile-latency can be carried away; expected local or ssh here")
    with open_target(latency) as target:
        yield target


def measure_files(files: Sequence[Path | onnx.ModelProto], config: LatencyConfig, batch: int = 1) -> list[Timing]:
    """Latency of ONNX files, or what they would hold, in a loop, ms per run of ``batch`` images, in one interleaved
    session.

    Raises:
        MeasuringError: the agent failed.
    """
    with scratch("latency") as folder:
        job = Job(folder, replace(config, batch=batch, rounds=max(config.rounds, FEW_ROUNDS)))
        for index, file in enumerate(files):
            job.add(str(index), file)
        job.close()
        session = perform(job)
    return [session.models[str(index)].hot for index in range(len(files))]
