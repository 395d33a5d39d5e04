"""A plan as a table: what every stage will do, for how long and with how much memory, and what it took."""

from __future__ import annotations

from frostnas.artifacts.plan import Plan, StagePlan
from frostnas.report.grids import Grid


def plan_grid(plan: Plan, title: str = "plan") -> Grid:
    """Args: title: what stands above it."""
    done = any(one.taken_s is not None for one in plan.stages)
    columns = ("stage", "settings", "planned", *(("taken",) if done else ()), "memory")
    rows = [_row(one, done=done) for one in plan.stages]
    whole = sum(one.seconds for one in plan.stages)
    taken = sum(one.taken_s or 0.0 for one in plan.stages)
    limit = f"limit {duration(plan.limit_s)}" if plan.limit_s is not None else "no limit"
    rows.append(("all", limit, duration(whole), *((duration(taken),) if done else ()), ""))
    rows += [("left out", note, "", *(("",) if done else ()), "") for note in plan.left_out]
    return Grid(title, rows, columns, ("stage", "settings"))


def _row(one: StagePlan, *, done: bool) -> tuple[str, ...]:
    settings = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in one.settings.items())
    taken = (duration(one.taken_s) if one.taken_s is not None else "",) if done else ()
    memory = f"{one.peak_bytes / 1e9:.2f} GB" if one.peak_bytes else ""
    return one.name, settings, duration(one.seconds), *taken, memory


def duration(seconds: float) -> str:
    """Minutes and seconds, from an hour on hours and minutes."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
