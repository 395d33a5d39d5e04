"""Stage 2: the most accurate network of the space under a latency budget."""

from frostnas.search.net.stage import run

__all__ = ["run"]
