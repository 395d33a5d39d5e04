"""A usable file early: the parent at a size within the budget, or a named network, trained briefly and exported.

It is a run of its own in `early/`, and its INT8 file stands in the run directory until the export replaces it, which it
does unless this one is within the budget and better on the validation images.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from frostnas.artifacts import EARLY, NetSpec, TrainResult, load, sha256_of_value, write_atomic
from frostnas.artifacts.plan import StagePlan
from frostnas.config import Config, DistillConfig, ParentConfig, TargetName
from frostnas.config.compose import read_stored, to_yaml
from frostnas.config.plan import TrainFloors
from frostnas.deploy.formats.base import ParityError
from frostnas.deploy.runtime import INT8_NAME
from frostnas.errors import USABLE
from frostnas.latency.nets import measure_nets
from frostnas.nets import zoo_spec
from frostnas.pipeline import costs, plan
from frostnas.pipeline.clock import timed
from frostnas.pipeline.planning import Planned
from frostnas.pipeline.probe import measure
from frostnas.pipeline.session import Session
from frostnas.pipeline.sizes import at_sizes
from frostnas.pipeline.stages import EXPORTING, TRAINING
from frostnas.pipeline.trained import TRAIN
from frostnas.report.plan_grid import scored, standing

CONFIG = "config.yaml"
NAMES = ("mobilenet_v2_1_0", "frostnet_small_0_75", "frostnet_small_0_5", "frostnet_small_0_35")
"""From slow to fast."""
AT_LATEST = 0.25
"""Of the time limit: what cannot be there by then is left out."""
AGREEMENT, DROP = 0.9, 0.05
"""Of its export, at least and at most: after few epochs many images lie between two classes."""
LEAST = TrainFloors(float_epochs=1, epochs=2, frozen_epochs=1)
SHORT = (plan.TRAIN, plan.EXPORT)


def plan_first(planned: Planned) -> None:
    """Put the first network into the plan, if there is time for one."""
    session, limit_s = planned.session, planned.clock.limit_s
    if limit_s is None or planned.row(EARLY) is not None or not session.config.plan.early_share:
        return
    for name, size in within_budget(session):
        below = _below(session, _short(session, name, size))
        measured = measure(below, SHORT, below.net)
        seconds = partial(costs.seconds, measured)
        fitted = plan.fit(below.config, SHORT, seconds, session.config.plan.early_share * limit_s)
        taken = sum(fitted.seconds.values())
        if not fitted.fits and planned.clock.spent_s + taken > AT_LATEST * limit_s:
            continue
        settings = plan.settings_of(fitted.config, plan.floors(below.config, plan.TRAIN))
        peak = costs.peak_bytes(measured, plan.TRAIN, fitted.config)
        planned.put_first(
            StagePlan(EARLY, settings, taken, peak, sha256_of_value(TRAINING.settings(fitted.config))), fitted.config
        )
        return
    session.workspace.say("early: left out, no network within the budget can be trained in a quarter of the time limit")


def within_budget(session: Session) -> Sequence[tuple[str | None, int]]:
    """Networks within the latency budget, by name and size, all where there is none: the parent, which is None, with
    the largest images first, then named ones from slow to fast."""
    config, parent = session.config, session.parent
    sizes = sorted(session.sizes, reverse=True)
    specs: dict[tuple[str | None, int], NetSpec] = {(None, size): parent.spec for size in sizes} if parent else {}
    specs |= {(name, sizes[0]): zoo_spec(name) for name in NAMES}
    found, budget_ms = list(specs), config.budget.latency_ms
    if budget_ms is None:
        return found
    if config.latency.target.name is TargetName.bundle:  # nobody can ask that machine
        return found[-1:]
    classes = len(session.data.format.classes)
    sized = [spec.with_classes(classes).at_size(size) for (_, size), spec in specs.items()]
    taken = measure_nets(config.latency, config.quant, sized)
    return [one for one, latency_ms in zip(found, taken, strict=True) if latency_ms <= budget_ms]


def _short(session: Session, name: str | None, size: int) -> Config:
    """Of a training of its own, from fresh weights or from the parent's, on images of one size."""
    config, parent = session.config, session.parent if name is None else None
    weights = parent.given if parent is not None else None
    train = replace(config.train, weights=weights, inherit=False, distill=DistillConfig())
    checks = replace(
        config.export,
        formats=["onnx"],
        min_agreement=min(config.export.min_agreement, AGREEMENT),
        max_top1_drop=max(config.export.max_top1_drop, DROP),
    )
    config = at_sizes(replace(config, net=name, parent=ParentConfig(), train=train, export=checks), [size])
    return replace(config, plan=replace(config.plan, train=LEAST), time_limit=None)


def _below(session: Session, config: Config) -> Session:
    parent = session.parent.spec if config.net is None and session.parent is not None else None
    return session.below(EARLY, config, parent)


def run_first(planned: Planned) -> None:
    """Train and export the planned first network, unless it is there, and say which file can be used.

    Raises:
        TrainingError: the loss or an activation is not a finite number.
    """
    session, row = planned.session, planned.row(EARLY)
    if row is None:
        return
    kept = session.path(EARLY) / CONFIG
    if not row.begun:
        shutil.rmtree(session.path(EARLY), ignore_errors=True)  # of another plan
        write_atomic(kept, to_yaml(replace(planned.first_config, run_dir=str(session.path(EARLY)))).encode())
        planned.note(replace(row, begun=True))
    below = _below(session, read_stored(kept, Config))
    done = below.path(EXPORTING.artifact).exists()

    def work() -> TrainResult:
        trained = TRAINING.run(below)
        EXPORTING.run(below)
        return trained

    try:
        trained, seconds = timed(work)
    except ParityError as error:
        session.workspace.say(f"early: warning: no file: {error}")
        return
    if not session.path(EXPORTING.artifact).exists():
        write_atomic(session.path(INT8_NAME), below.path(INT8_NAME).read_bytes())
    if not done:
        planned.note(replace(row, begun=True, taken_s=seconds))
    session.workspace.say(f"early: {session.path(INT8_NAME)} can be used from here on: {scored(trained)}")


def say_what_stands(session: Session) -> None:
    """At the end: which network the run's file is, and how the other did."""
    first = session.path(EARLY) / TRAIN
    if not first.is_file() or not session.path(TRAIN).is_file():
        return
    ours, theirs = (load(path, TrainResult).value for path in (session.path(TRAIN), first))
    said = standing(ours, theirs, of_first=session.trained_in != session.workspace.run_dir)
    session.workspace.say(f"{session.path(INT8_NAME)}: is {said} ({scored(ours)}; the first: {scored(theirs)})")


def usable(session: Session) -> str | None:
    """What can be used of a run that was stopped, in words."""
    path = session.path(INT8_NAME)
    return f"{USABLE}{path}" if path.is_file() else None
