"""Numbers with their units, as every table and chart says them."""

from __future__ import annotations


def percent(fraction: float) -> str:
    """With two digits behind the point."""
    return f"{fraction:.2%}"


def ms(value: float | None) -> str:
    """Of a latency that may not have been predicted."""
    return "not predicted" if value is None else f"{value:.3f} ms"


def duration(seconds: float) -> str:
    """Minutes and seconds, from an hour on hours and minutes."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def roughly(seconds: float) -> str:
    """A duration as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def kib(size_bytes: int) -> str:
    """Of a file."""
    return f"{size_bytes / 1024:.1f} KiB"
