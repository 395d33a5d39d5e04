"""The commands that run stages in a run directory: each alone, and `run`."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from rich.console import Console
from rich.text import Text

from frostnas.artifacts import LatencyTable, load, load_table
from frostnas.artifacts.plan import Plan
from frostnas.cli.bundle import remember
from frostnas.cli.outcome import Outcome
from frostnas.config import Config
from frostnas.deploy.formats.registry import check_installed
from frostnas.engine import Workspace
from frostnas.latency import Carried
from frostnas.pipeline import STAGES, Session, run_chain
from frostnas.pipeline.chain import needed, planned_of, run_one
from frostnas.pipeline.early import plan_first
from frostnas.pipeline.functions import opened, summary
from frostnas.pipeline.ladder import LADDER, plan_ladder
from frostnas.pipeline.planning import PLAN
from frostnas.pipeline.source import with_normalisation
from frostnas.pipeline.stages import SEARCH_NET, with_parent
from frostnas.readable import readable
from frostnas.report.grids import artifact_grids, run_grid
from frostnas.report.plan_grid import plan_grid
from frostnas.report.tables import view


def stage(name: str, config: Config, console: Console, quiet: bool, force: bool) -> Outcome:
    """Run one stage on its inputs."""
    with opened(config, console, quiet) as session:
        try:
            value = run_one(session, STAGES[name], force=force)
        except Carried as carried:
            remember(config, session.workspace.run_dir)
            return Outcome({"bundle": str(carried.path)}, _on_foot(carried.path, config))
        path = session.path(STAGES[name].artifact)
        shown = load_table(path) if isinstance(value, LatencyTable) else value
        return Outcome(value, view(*artifact_grids(shown, path)))


def show_plan(name: str, config: Config, console: Console) -> Outcome:
    """What a command would do within its limits, and for how long; nothing is written.

    Raises:
        InputError: a limit that nothing fits, or an input that is missing.
    """
    log = logging.getLogger("frostnas")
    session = Session(with_normalisation(config), Workspace(Path(config.run_dir), console, log, writes=False))
    plan = plan_ladder(session) if name == LADDER.name else _plan(session, name)
    return Outcome(plan, view(plan_grid(plan, f"frostnas {name}: plan")))


def _plan(session: Session, name: str) -> Plan:
    stages = needed(session.config) if name == "run" else with_parent(session.config, [STAGES[name]])
    planned = planned_of(session, stages)
    if name == "run" and SEARCH_NET in stages:
        plan_first(planned)
    return planned.make()


def _on_foot(bundle: Path, config: Config) -> Text:
    back = f"frostnas profile-latency import results.json {shlex.quote(f'run_dir={config.run_dir}')}"
    said = (f"wrote {bundle}", "unpack it on the target and run there:  python3 agent.py", f"then here:  {back}")
    return Text("\n".join(map(readable, said)), no_wrap=True, overflow="ignore")


def chain(config: Config, console: Console, quiet: bool, force: bool) -> Outcome:
    """Run every stage that is not done yet and whose output is not given, and sum the run up."""
    check_installed(config.export.formats)  # rather now than after hours
    with opened(config, console, quiet) as session:
        values = run_chain(session, force=force)
        grids = [run_grid(summary(values, session), session.workspace.run_dir)]
        if config.time_limit is not None:
            grids.append(plan_grid(load(session.path(PLAN), Plan).value, "planned and taken"))
        return Outcome(values, view(*grids))
