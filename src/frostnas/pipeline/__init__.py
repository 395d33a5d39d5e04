"""The chain of stages over one run directory."""

from frostnas.pipeline.chain import run_chain
from frostnas.pipeline.ladder import LADDER
from frostnas.pipeline.session import Session
from frostnas.pipeline.stage import Stage
from frostnas.pipeline.stages import CHAIN
from frostnas.pipeline.trained import load_net

STAGES = {stage.name: stage for stage in (*CHAIN, LADDER)}

__all__ = ["CHAIN", "LADDER", "STAGES", "Session", "Stage", "load_net", "run_chain"]
