"""What every stage that trains shares."""

from frostnas.engine.allocator import keep_freed_memory
from frostnas.engine.checkpoint import rng_state, set_rng_state
from frostnas.engine.device import pick_device, seed_all
from frostnas.engine.evaluate import evaluate, evaluating, predict, standard_error
from frostnas.engine.metrics import MetricsWriter
from frostnas.engine.optim import classifier_of, decay_groups, make_optimizer
from frostnas.engine.progress import Bar
from frostnas.engine.qat import Part, Progress, Qat, TrainingError
from frostnas.engine.recipe import Phase, Recipe
from frostnas.engine.saver import Saver
from frostnas.engine.schedule import Schedule
from frostnas.engine.weights import weights_digest, weights_of
from frostnas.engine.workspace import Workspace

__all__ = [
    "Bar",
    "MetricsWriter",
    "Part",
    "Phase",
    "Progress",
    "Qat",
    "Recipe",
    "Saver",
    "Schedule",
    "TrainingError",
    "Workspace",
    "classifier_of",
    "decay_groups",
    "evaluate",
    "evaluating",
    "keep_freed_memory",
    "make_optimizer",
    "pick_device",
    "predict",
    "rng_state",
    "seed_all",
    "set_rng_state",
    "standard_error",
    "weights_digest",
    "weights_of",
]
