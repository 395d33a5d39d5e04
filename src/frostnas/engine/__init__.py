"""What every stage that trains shares."""

from frostnas.engine.allocator import keep_freed_memory
from frostnas.engine.checkpoint import load_checkpoint, rng_state, save_checkpoint, set_rng_state
from frostnas.engine.device import pick_device, seed_all
from frostnas.engine.evaluate import batch_top1, evaluate, evaluating, predict
from frostnas.engine.metrics import MetricsWriter
from frostnas.engine.optim import classifier_of, decay_groups, make_optimizer
from frostnas.engine.progress import Bar
from frostnas.engine.schedule import Schedule
from frostnas.engine.weights import weights_digest, weights_of
from frostnas.engine.workspace import Workspace

__all__ = [
    "Bar",
    "MetricsWriter",
    "Schedule",
    "Workspace",
    "batch_top1",
    "classifier_of",
    "decay_groups",
    "evaluate",
    "evaluating",
    "keep_freed_memory",
    "load_checkpoint",
    "make_optimizer",
    "pick_device",
    "predict",
    "rng_state",
    "save_checkpoint",
    "seed_all",
    "set_rng_state",
    "weights_digest",
    "weights_of",
]
