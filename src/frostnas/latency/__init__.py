"""Measured latency: models of every workload, the portable agent, the calibrated table.

What is named here needs no torch.
"""

from frostnas.latency.doubts import prefers_signed, saturates
from frostnas.latency.job import MeasuringError
from frostnas.latency.measure import measure_files, target_host
from frostnas.latency.targets import Carried, this_host

__all__ = [
    "Carried",
    "MeasuringError",
    "measure_files",
    "prefers_signed",
    "saturates",
    "target_host",
    "this_host",
]
