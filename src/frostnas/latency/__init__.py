"""Measured latency: models of every workload, the portable agent, the calibrated table."""

from frostnas.latency.local import this_host
from frostnas.latency.measure import measure_files, measure_nets
from frostnas.latency.session import MeasuringError

__all__ = ["MeasuringError", "measure_files", "measure_nets", "this_host"]
