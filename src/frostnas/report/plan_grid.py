"""What a time limit makes of a run, as tables: what its stages do, for how long, with how much memory."""

from __future__ import annotations

from frostnas.artifacts import Plan, StagePlan, TrainResult
from frostnas.deploy.runtime import INT8_NAME
from frostnas.report.grids import Grid, RunSummary
from frostnas.report.units import duration, percent


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
    rows = [("first network", scored(first))]
    if own is not None:
        rows.append(("the run's own", scored(own)))
    said = "of the first network, until the export"
    if run.export is not None and own is not None:
        said = standing(own, first, of_first=run.of_first)
    return Grid("the file", [*rows, (INT8_NAME, said)])


def standing(own: TrainResult, first: TrainResult, *, of_first: bool) -> str:
    """Which of the two networks the exported file is of, and why."""
    if of_first:
        return "of the first network, which is within the budget and better"
    slower = first.fake_quant.val > own.fake_quant.val
    return "of the run's own network" + (", since the first is slower than the budget" if slower else "")


def scored(trained: TrainResult) -> str:
    """A network and its accuracy."""
    return f"{trained.net.name}, {percent(trained.fake_quant.val)} of the validation images"


def _row(one: StagePlan, *, done: bool) -> tuple[str, ...]:
    settings = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in one.settings.items())
    taken = (duration(one.taken_s) if one.taken_s is not None else "",) if done else ()
    memory = f"{one.peak_bytes / 1e9:.2f} GB" if one.peak_bytes else ""
    return one.name, settings, duration(one.seconds), *taken, memory
