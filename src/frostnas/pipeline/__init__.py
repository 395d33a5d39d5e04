"""The chain of stages over one run directory."""

from frostnas.pipeline.session import Session, load_net
from frostnas.pipeline.stages import CHAIN, STAGES, Stage

__all__ = ["CHAIN", "STAGES", "Session", "Stage", "load_net"]
