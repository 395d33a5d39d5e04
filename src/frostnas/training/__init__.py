"""Stage 3: StatAssist, quantization-aware training, frozen ranges."""

from frostnas.training.stage import run

__all__ = ["run"]
