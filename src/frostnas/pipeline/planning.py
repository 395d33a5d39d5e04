"""A session's plan: measured, fitted to its limits, kept in `plan.json`, and taken up again by the same command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from frostnas.artifacts import NetSpec, Provenance, load, save, sha256_of_value, write_atomic
from frostnas.artifacts.plan import Plan, StagePlan
from frostnas.config import Config
from frostnas.config.compose import to_yaml
from frostnas.config.limits import bytes_of_limit, time_limit_s
from frostnas.engine.distributed import launched, said_by_first
from frostnas.engine.memory import free_bytes, held_bytes
from frostnas.errors import InputError
from frostnas.pipeline import costs, plan
from frostnas.pipeline.clock import Clock
from frostnas.pipeline.costs import Measured
from frostnas.pipeline.probe import measure, near_budget
from frostnas.pipeline.session import Session
from frostnas.pipeline.stage import Stage
from frostnas.report.units import roughly

PLAN = "plan.json"
USED = 0.92
"""Of the time that is left, what is planned: steps are measured within some percent, and results are written, too."""


class Planned:
    """A session whose stages are fitted to `time_limit` and `memory_limit`, one after another, with what is left."""

    def __init__(self, session: Session, stages: Sequence[Stage[Any]], *, force: bool = False) -> None:
        self.session, self.stages = session, {stage.name: stage for stage in stages}
        self.given = session.config
        limit_s = time_limit_s(self.given.time_limit)
        kept = None if force else self._kept()
        self.clock = Clock(limit_s, kept.spent_s if kept else 0.0)
        self.plan = replace(kept, limit_s=limit_s) if kept else Plan(limit_s, ())
        self.first_config = self.given
        self.measured: Measured | None = None
        self.pace = 1.0  # what a step takes by now, beside what was measured
        self.whole = False  # the stage under way was begun by this process, so that its time is all of it

    def _kept(self) -> Plan | None:
        path = self.session.path(PLAN)
        return load(path, Plan).value if path.is_file() else None

    def basis(self, stage: str) -> str:
        """Of what a stage's settings were chosen for."""
        return sha256_of_value(self.stages[stage].settings(self.given))

    def _begun(self, stage: str) -> StagePlan | None:
        """What was chosen for a stage that has begun."""
        found = next((one for one in self.plan.stages if one.name == stage and one.begun), None)
        return found if found is not None and found.basis == self.basis(stage) else None

    def left(self) -> list[str]:
        """Stages whose settings are still open, in order."""
        searched = plan.SEARCH_BLOCK not in self.stages or not self._later_begun()
        return [name for name in self.stages if not self._begun(name) and (name != plan.SEARCH_BLOCK or searched)]

    def make(self, net: NetSpec | None = None) -> Plan:
        """Fit what is still to come into the time and the memory that are left; what it takes is measured once.

        How long a parent's training took, beside what was planned, says how fast the machine is by now.

        Args:
            net: what will be trained, where it is known; then that is measured anew.
        """
        open_ = self.left()
        if not open_:
            return self.plan
        if self.measured is None or net is not None:
            self.measured, self.pace = measure(self.session, open_, net, launched()), 1.0
        measured = near_budget(self.session, self.measured) if plan.SEARCH_NET in open_ else self.measured
        self.plan = said_by_first(self._made(measured, open_))
        return self.plan

    def _made(self, measured: Measured, open_: Sequence[str]) -> Plan:
        fitted = self._fitted(measured, open_)
        rows = {one.name: one for one in self.plan.stages if one.begun}
        for name, taken in fitted.seconds.items():
            settings = plan.settings_of(fitted.config, [*plan.floors(fitted.config, name), *_micro(name)])
            settings |= plan.grown_batch(self.given, fitted.config, name)
            peak = costs.peak_bytes(measured, name, fitted.config)
            rows[name] = StagePlan(name, settings, taken, peak, self.basis(name))
        others = [one for one in self.plan.stages if one.name not in self.stages]
        stages = (*others, *(rows[name] for name in self.stages if name in rows))
        left_out = plan.left_out(self.given, fitted, partial(self._seconds, measured))
        return replace(self.plan, stages=stages, left_out=left_out, fits=fitted.fits)

    def _fitted(self, measured: Measured, open_: Sequence[str]) -> plan.Fit:
        """The most that ends in time, with larger batches where that is less than the config says."""
        before_s = sum(one.seconds for one in self.plan.stages if one.name not in self.stages and not one.begun)
        time_s = (self.clock.left_s - before_s) * USED
        seconds = partial(self._seconds, measured)
        config: Config | None = self.given
        while config is not None:
            fitted = plan.fit(self._within_memory(config, measured, open_), open_, seconds, time_s)
            config = None if fitted.complete else plan.larger_batches(config, open_, seconds, measured.images)
        return fitted

    def _seconds(self, measured: Measured, stage: str, config: Config) -> float:
        return self.pace * costs.seconds(measured, stage, config)

    def _later_begun(self) -> bool:
        """Whether a stage has begun with a published block."""
        return any(self._begun(name) for name in self.stages if name != plan.SEARCH_BLOCK)

    def _within_memory(self, config: Config, measured: Measured, stages: Sequence[str]) -> Config:
        """``config`` with batches in as many parts as `memory_limit` asks for.

        Raises:
            InputError: two images at a time are too many.
        """
        device = self.session.device
        free = free_bytes(device)
        limit = bytes_of_limit("memory_limit", config.memory_limit, None if free is None else free + held_bytes(device))
        for name in stages:
            if limit is None or name not in costs.OF_STAGE:
                continue
            parts = costs.micro_batches(measured, name, config, limit)
            if parts is None:
                least = costs.peak_bytes(measured, name, plan.with_settings(config, _parts(name, config)))
                raise InputError(
                    f"memory_limit={config.memory_limit}: {name} takes {least / 1e9:.2g} GB with two images at a time; "
                    "expected more, or a smaller data.image_size"
                )
            config = plan.with_settings(config, {_micro(name)[0]: parts})
        return config

    def check(self) -> None:
        """Refuse a limit that no plan fits.

        Raises:
            InputError: says how long everything takes at its floor.
        """
        if not self.plan.fits:
            needed = sum(one.seconds for one in self.plan.stages if not one.begun) + self.clock.spent_s
            raise InputError(
                f"time_limit={self.given.time_limit}: the least that the config states takes "
                f"{roughly(needed / USED)}; expected more time, or lower floors (plan.search_net.epochs, "
                "plan.train.epochs)"
            )

    def begin(self, stage: str) -> bool:
        """Give the session the settings of a stage, and keep them; False where the plan leaves the stage out."""
        row = self.row(stage)
        if row is None:
            return False
        self.whole = not row.begun
        self.session.config = plan.with_settings(self.session.config, row.settings)
        self.note(replace(row, begun=True))
        return True

    def end(self, stage: str, seconds: float) -> None:
        """Note how long a stage took."""
        row = self.row(stage)
        assert row is not None
        if stage == plan.PARENT and self.whole:
            self.pace = seconds / row.seconds
        self.note(replace(row, taken_s=seconds))

    def row(self, stage: str) -> StagePlan | None:
        """What is planned for a stage."""
        return next((one for one in self.plan.stages if one.name == stage), None)

    def put_first(self, row: StagePlan, config: Config) -> None:
        """Plan what is not of the chain before everything else. Args: config: of a run of its own."""
        self.first_config = config
        self.plan = replace(self.plan, stages=(row, *self.plan.stages))

    def note(self, row: StagePlan) -> None:
        """Put a row in place of the one of its name, and keep the plan."""
        stages = tuple(row if one.name == row.name else one for one in self.plan.stages)
        self.plan = replace(self.plan, stages=stages)
        self.keep()

    def keep(self) -> None:
        """Write the plan, and the config as plain settings that another machine can repeat without a limit."""
        if self.session.workspace.writes:
            save(self.session.path(PLAN), replace(self.plan, spent_s=self.clock.spent_s), Provenance())
            write_atomic(self.session.path("config.yaml"), to_yaml(repeatable(self.session.config)).encode())


def repeatable(config: Config) -> Config:
    """What was chosen, without the limit that it was chosen for."""
    return replace(config, time_limit=None)


def _micro(stage: str) -> list[str]:
    return [f"{plan.GROUPS[stage]}.micro_batches"] if stage in costs.OF_STAGE else []


def _parts(stage: str, config: Config) -> Mapping[str, int]:
    """The most parts that a batch can go in."""
    return {_micro(stage)[0]: getattr(config, plan.GROUPS[stage]).batch_size // 2}
