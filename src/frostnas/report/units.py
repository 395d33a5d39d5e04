"""Numbers with their units, as every table and chart says them."""

from __future__ import annotations


def percent(fraction: float) -> str:
    """With two digits behind the point."""
    return f"{fraction:.2%}"


def ms(value: float | None) -> str:
    """Of a latency that may not have been predicted."""
    return "not predicted" if value is None else f"{value:.3f} ms"


def kib(size_bytes: int) -> str:
    """Of a file."""
    return f"{size_bytes / 1024:.1f} KiB"
