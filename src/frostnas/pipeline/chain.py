"""All stages one after another, without those whose output is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from frostnas.artifacts import sha256_of_value, write_atomic
from frostnas.config import Config
from frostnas.config.identity import what_matters
from frostnas.pipeline.fit import fit_space
from frostnas.pipeline.session import Session
from frostnas.pipeline.stage import Stage
from frostnas.pipeline.stages import CHAIN, PROFILE, SEARCH_BLOCK, SEARCH_NET

FORCED = "checkpoints/begun/run.json"  # in the run directory: stages that `run --force` has still to make anew


def needed(config: Config) -> tuple[Stage[Any], ...]:
    """The stages whose output is not given: `block=` or `parent.net=`, `table=`, or `net=`, which makes all of the
    search needless."""
    given = {
        SEARCH_BLOCK: config.block is not None or config.net is not None or config.parent.net is not None,
        PROFILE: config.table is not None or config.net is not None,
        SEARCH_NET: config.net is not None,
    }
    return tuple(stage for stage in CHAIN if not given.get(stage))


def run_chain(session: Session, *, force: bool = False) -> dict[str, Any]:
    """What every needed stage made, by its name; a finished stage is not run again.

    Args:
        force: begin every stage anew. Interrupted, the same call goes on with those that it has not come to.

    Raises:
        InputError: a result is there that was made from something else.
    """
    workspace, stages = session.workspace, needed(session.config)
    for stage in CHAIN:
        if stage not in stages:
            workspace.say(f"{stage.name}: not needed, its output is given")
    if SEARCH_NET in stages:
        fit_space(session)
    path, config = session.path(FORCED), sha256_of_value(what_matters(session.config))
    anew = _left(path, config) or ([stage.name for stage in stages] if force else [])
    values = {}
    for stage in stages:
        if anew and workspace.writes:
            write_atomic(path, json.dumps({"config": config, "stages": anew}).encode())
        values[stage.name] = stage.run(session, force=stage.name in anew)
        anew = [name for name in anew if name != stage.name]
    if workspace.writes:
        path.unlink(missing_ok=True)
    return values


def _left(path: Path, config: str) -> list[str]:
    """Stages that a forced run of the same config was interrupted before."""
    try:
        left = json.loads(path.read_bytes())
        return list(left["stages"]) if left["config"] == config else []
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # a damaged one says as much as none
        return []
