"""Stage 2: the most accurate network of the space under a latency budget."""

from frostnas.search.net.stage import Goal, run, search

__all__ = ["Goal", "run", "search"]
