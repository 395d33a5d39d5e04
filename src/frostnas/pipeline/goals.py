"""What a search is asked for: the tables of its targets and the budgets there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from frostnas.artifacts import load_table, sha256_of
from frostnas.errors import InputError
from frostnas.pipeline.session import Session
from frostnas.pipeline.target import check_table
from frostnas.search.net import Goal
from frostnas.search.net.task import make_task


def goals(session: Session) -> list[Goal]:
    """The run's own target first, then those of `budget.others`.

    Raises:
        InputError: a table cannot be read, or is not of what is searched.
    """
    budget, own_table = session.config.budget, session.table
    check_table(own_table, session.config, session.table_path)
    found = [Goal(own_table, budget)]
    for other in budget.others:
        table = load_table(Path(other.table)) if other.table else own_table
        found.append(Goal(table, replace(budget, latency_ms=other.latency_ms, fraction=other.fraction, others=[])))
    return found


def check_goals(session: Session) -> None:
    """Refuse now what a search would refuse after its parent was trained.

    Raises:
        InputError: as `goals`; no network of the space is within a budget, or a table does not hold the space.
    """
    table_input(session)
    for goal in goals(session):
        make_task(goal.budget, session.space, goal.table, session.config.search_net.population)


def table_input(session: Session) -> str:
    """Hash of the run's own table.

    Raises:
        InputError: it is not there.
    """
    if not session.table_path.is_file():
        raise InputError(f"{session.table_path}: no such file; run `frostnas profile-latency` first or give table=")
    return sha256_of(session.table_path)
