"""Measured latency: models of every workload, the portable agent, the calibrated table."""

from frostnas.latency.doubts import prefers_signed, saturates
from frostnas.latency.measure import measure_files, measure_nets, target_host
from frostnas.latency.session import MeasuringError
from frostnas.latency.targets import Carried, this_host

__all__ = [
    "Carried",
    "MeasuringError",
    "measure_files",
    "measure_nets",
    "prefers_signed",
    "saturates",
    "target_host",
    "this_host",
]
