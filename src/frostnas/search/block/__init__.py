"""Stage 1: a block that survives quantization, found by differentiable search over slots."""

from frostnas.search.block.stage import run

__all__ = ["run"]
