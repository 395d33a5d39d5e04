"""Stage 2: the most accurate network of the space under a latency budget."""

from frostnas.search.net.stage import Goal, Job, run, search

__all__ = ["Goal", "Job", "run", "search"]
