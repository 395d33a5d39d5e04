"""Stage 3: StatAssist, quantization-aware training, frozen ranges."""

from frostnas.training.stage import run
from frostnas.training.trainer import TrainingError

__all__ = ["TrainingError", "run"]
