"""All stages one after another, without those whose output is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from frostnas.artifacts import Artifact, sha256_of_value, write_atomic
from frostnas.config import Config
from frostnas.config.given import given
from frostnas.config.identity import what_matters
from frostnas.engine.distributed import joined
from frostnas.pipeline import plan
from frostnas.pipeline.clock import timed
from frostnas.pipeline.early import plan_first, run_first, say_what_stands, usable
from frostnas.pipeline.fit import fit_space
from frostnas.pipeline.goals import check_goals
from frostnas.pipeline.planning import Planned
from frostnas.pipeline.session import Session
from frostnas.pipeline.size_choice import choose_sizes
from frostnas.pipeline.stage import Stage
from frostnas.pipeline.stages import CHAIN, PARENT, PROFILE, SEARCH_NET, TRAINING, with_parent
from frostnas.report.plan_grid import plan_grid
from frostnas.report.tables import view

T = TypeVar("T", bound=Artifact)
PUBLISHED = "frost"
"""The block where none is searched."""
FORCED = "checkpoints/begun/run.json"  # in the run directory: stages that `run --force` has still to make anew


def needed(config: Config) -> tuple[Stage[Any], ...]:
    """The stages whose output is not given."""
    return with_parent(config, (stage for stage in CHAIN if stage.name not in given(config)))


def run_chain(session: Session, *, force: bool = False) -> dict[str, Any]:
    """What every needed stage made, by its name; a finished stage is not run again.

    Args:
        force: begin every stage anew. Interrupted, the same call goes on with those that it has not come to.

    Raises:
        InputError: a result is there that was made from something else.
        KeyboardInterrupt: with a note that names the file that can be used already, if there is one.
    """
    try:
        return _run_chain(session, force=force)
    except KeyboardInterrupt as interrupt:
        if said := usable(session):
            interrupt.add_note(said)
        raise


def _run_chain(session: Session, *, force: bool) -> dict[str, Any]:
    workspace, stages = session.workspace, needed(session.config)
    for stage in CHAIN:
        if stage not in stages:
            workspace.say(f"{stage.name}: not needed, its output is given")
    path, config = session.path(FORCED), sha256_of_value(what_matters(session.given))
    anew = _left(path, config) or ([stage.name for stage in stages] if force else [])
    planned, values = begin_plan(session, stages, force=force), {}
    if planned is not None:
        run_first(planned)
    for stage in stages:
        if anew and workspace.writes:
            write_atomic(path, json.dumps({"config": config, "stages": anew}).encode())
        value = run_planned(session, planned, stage, force=stage.name in anew)
        if value is not None:
            values[stage.name] = value
        anew = [name for name in anew if name != stage.name]
    if workspace.writes:
        path.unlink(missing_ok=True)
    say_what_stands(session)
    return values


def planned_of(session: Session, stages: Sequence[Stage[Any]], *, force: bool = False) -> Planned:
    """A plan of some stages, still empty, on the space that fits.

    Raises:
        InputError: no space holds the budget.
    """
    if any(stage in (PROFILE, SEARCH_NET) for stage in stages):
        _fit(session)
    return Planned(session, stages, force=force)


def _fit(session: Session) -> None:
    """Sizes of images and a space that fit the budget, where they are not given."""
    choose_sizes(session)
    fit_space(session)


def begin_plan(session: Session, stages: Sequence[Stage[Any]], *, force: bool = False) -> Planned | None:
    """The plan that `time_limit` asks for, made and shown; None without one, and where nothing can be chosen.

    Raises:
        InputError: the limit is too short, or the memory too little.
    """
    chosen = [stage.name for stage in stages if stage.name in plan.GROUPS]
    if session.config.time_limit is None or not chosen:
        if session.config.time_limit is not None and stages[0].name not in plan.SHARING:
            session.workspace.say(f"warning: time_limit={session.config.time_limit}: {stages[0].name} keeps to none")
        if any(stage in (PROFILE, SEARCH_NET) for stage in stages):
            _fit(session)
        return None
    planned = planned_of(session, stages, force=force)
    if planned.left():
        session.workspace.say("plan: measuring single steps of every stage")
        if SEARCH_NET in stages and TRAINING in stages:  # a whole run, not the search alone
            plan_first(planned)
        planned.make()
        planned.check()
    planned.keep()
    if session.workspace.console is not None:
        session.workspace.console.print(view(plan_grid(planned.plan)))
    return planned


def run_one(session: Session, stage: Stage[T], *, force: bool = False) -> T:
    """What a stage made, alone but for the parent that it cuts, within `time_limit` if there is one; processes of
    torchrun are connected throughout."""
    with joined(session.device, session.workspace.peer_timeout_s):
        stages = with_parent(session.config, [stage])
        planned = begin_plan(session, stages, force=force)
        *_, value = (run_planned(session, planned, one, force=force) for one in stages)
    return cast(T, value)


def run_planned(session: Session, planned: Planned | None, stage: Stage[Any], *, force: bool) -> Any:
    """What a stage made, with the settings that fit the time that is left; None where the plan leaves it out."""
    workspace, began = session.workspace, stage.path(session).exists() and not force
    if stage is PARENT and not began:
        check_goals(session)
    if planned is None:
        return stage.run(session, force=force)
    if stage.name in planned.left():
        planned.make(session.net if stage is TRAINING else None)
    if not planned.begin(stage.name):
        workspace.say(f"{stage.name}: left out, there is no time for it; the block is {PUBLISHED}, as published")
        session.config = replace(session.config, block=PUBLISHED)
        return None
    try:
        value, seconds = timed(lambda: stage.run(session, force=force))
        if not began:
            planned.end(stage.name, seconds)
    finally:
        planned.keep()
    return value


def _left(path: Path, config: str) -> list[str]:
    """Stages that a forced run of the same config was interrupted before."""
    try:
        left = json.loads(path.read_bytes())
        return list(left["stages"]) if left["config"] == config else []
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # a damaged one says as much as none
        return []
