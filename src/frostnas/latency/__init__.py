"""Measured latency: models of every workload, the portable agent, the calibrated table."""

from frostnas.latency.local import MeasuringError, measure_files, this_host
from frostnas.latency.profile import measure_nets

__all__ = ["MeasuringError", "measure_files", "measure_nets", "this_host"]
