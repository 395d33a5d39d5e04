"""What a time limit makes of a run, as tables: what its stages do, for how long, with how much memory."""

from __future__ import annotations

from frostnas.artifacts import Plan, StagePlan, TrainResult
from frostnas.deploy.runtime import INT8_NAME
from frostnas.report.grids import Grid, RunSummary
from frostnas.report.units import percent


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


def first_grid(run: RunSummary) -> Grid | None:
    """Which network of a run with a time limit could be used early, and whether its own has taken its place."""
    if run.first is None:
        return None
    first, own = run.first.trained, run.train
    rows = [("first network", _scored(first))]
    if own is not None:
        rows.append(("the run's own", _scored(own)))
    if run.export is None:
        said = "of the first network, until the export"
    elif run.of_first:
        said = "of the first network, which is within the budget and better"
    elif own is not None and first.fake_quant.val > own.fake_quant.val:
        said = "of the run's own network, since the first is slower than the budget"
    else:
        said = "of the run's own network"
    return Grid("the file", [*rows, (INT8_NAME, said)])


def _scored(trained: TrainResult) -> str:
    return f"{trained.net.name}, {percent(trained.fake_quant.val)} of the validation images"


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
