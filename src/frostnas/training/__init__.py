"""Stage 3: StatAssist, quantization-aware training, frozen ranges."""

from frostnas.training.stage import fingerprint, run

__all__ = ["fingerprint", "run"]
