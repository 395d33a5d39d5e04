"""Targets: the machines that latency is measured on."""

from frostnas.latency.targets.bundle import Carried
from frostnas.latency.targets.choose import Target, open_target
from frostnas.latency.targets.follow import OnRound
from frostnas.latency.targets.local import run_agent, this_host

__all__ = ["Carried", "OnRound", "Target", "open_target", "run_agent", "this_host"]
