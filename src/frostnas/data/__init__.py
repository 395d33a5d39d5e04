"""Data sets as splits of batches on a device."""

from frostnas.data.images import Images, Splits, batch_count, batch_indices, derived_seed
from frostnas.data.load import load

__all__ = ["Images", "Splits", "batch_count", "batch_indices", "derived_seed", "load"]
