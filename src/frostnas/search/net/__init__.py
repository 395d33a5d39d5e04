"""Stage 2: the most accurate network of the space under a latency budget."""

from frostnas.search.net.stage import Target, run, search

__all__ = ["Target", "run", "search"]
