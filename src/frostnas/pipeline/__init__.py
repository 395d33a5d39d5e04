"""The chain of stages over one run directory."""

from frostnas.pipeline.session import Session
from frostnas.pipeline.stages import CHAIN, STAGES, Stage
from frostnas.pipeline.trained import load_net

__all__ = ["CHAIN", "STAGES", "Session", "Stage", "load_net"]
