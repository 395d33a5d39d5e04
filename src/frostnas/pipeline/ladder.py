"""The ladder: one network at several image sizes, exported and measured at each, to hold searches against.

All sizes share one training, in `shared/`, or have one each. Every size is a run of its own below `sizes/`, with all
files of a training and an export; `frostnas evaluate` and `frostnas predict` take it as one. Of a time limit the shared
training gets most; sizes with a training of their own get shares that grow with their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from frostnas.artifacts import ExportReport, LadderResult, NetSpec, Rung, TrainResult, write_atomic
from frostnas.artifacts.plan import Plan
from frostnas.config import Config, TrainConfig
from frostnas.config.compose import to_yaml
from frostnas.config.limits import time_limit_s
from frostnas.latency import measure_files, target_host
from frostnas.pipeline.chain import begin_plan, planned_of, run_one, run_planned
from frostnas.pipeline.clock import Clock
from frostnas.pipeline.session import Session
from frostnas.pipeline.stage import Stage, Work
from frostnas.pipeline.stages import EXPORTING, TRAINING, training_inputs
from frostnas.pipeline.trained import WEIGHTS
from frostnas.report.plots import draw_ladder

LADDER_FILE, PLOT = "ladder.json", "ladder.png"
SHARED = "shared"  # folder of the training that all sizes share
SHARED_TIME = 0.9
"""Of a time limit: the shared training's part; statistics and ranges anew and the exports take the rest."""
OF_SIZE = (TRAINING, EXPORTING)


def _climb(session: Session, work: Work) -> LadderResult:
    config, force = session.config, work.forced
    cpu, sizes = target_host(config.latency).cpu, sorted(config.ladder.sizes)  # rather refused now than after hours
    parent: TrainResult | None = None
    clock = Clock(time_limit_s(config.time_limit))
    if config.ladder.shared:
        below = _below(session, SHARED, _within(_of_all(config, sizes), clock.left_s, SHARED_TIME))
        parent = run_one(below, TRAINING, force=force)
        config = replace(config, train=_restated(config.train, session.path(SHARED) / WEIGHTS))
    net = parent.net if parent is not None else None
    runs: dict[int, Session] = {}
    done: dict[int, tuple[TrainResult, ExportReport]] = {}
    for number, size in enumerate(sizes):
        session.workspace.say(f"ladder: {size} pixels")
        own = _within(_at_size(config, size), clock.left_s, None if parent else _part(sizes, number))
        runs[size] = run = _below(session, f"sizes/{size}", own, net)
        planned = begin_plan(run, OF_SIZE, force=force)
        trained, exported = (run_planned(run, planned, stage, force=force) for stage in OF_SIZE)
        done[size] = trained, exported
    files = {size: runs[size].path(report.int8.path) for size, (_, report) in done.items()}
    timings = measure_files(list(files.values()), config.latency)
    result = LadderResult(
        net=session.net.name,
        shared=parent is not None,
        rungs=tuple(
            Rung(
                image_size=size,
                top1_fp32=trained.fp32.val,
                top1=trained.fake_quant.val,
                top1_test=report.int8.top1,
                latency_ms=timing.p50,
                latency_ms_p90=timing.p90,
                size_bytes=report.int8.size_bytes,
                macs=trained.macs,
                path=str(files[size].relative_to(session.workspace.run_dir)),
                seconds=trained.seconds,
            )
            for (size, (trained, report)), timing in zip(done.items(), timings, strict=True)
        ),
        cpu=cpu,
        runtime=config.latency.runtime.value,
        threads=config.latency.threads,
        shared_seconds=parent.seconds if parent is not None else 0.0,
    )
    if session.workspace.writes:
        draw_ladder(result, work.folder / PLOT)
    return result


def plan_ladder(session: Session) -> Plan:
    """What the ladder would do within its limits, and for how long: a row per size and stage; nothing is written.

    Raises:
        InputError: as `Planned.make`.
    """
    config, sizes = session.config, sorted(session.config.ladder.sizes)
    limit_s = time_limit_s(config.time_limit)
    plans: list[Plan] = []

    def add(name: str, own: Config, share: float | None, stages: Sequence[Stage[Any]]) -> None:
        left_s = (limit_s or 0.0) - sum(one.seconds for plan in plans for one in plan.stages)
        below = session.below(name, _within(own, left_s, share))
        plan = planned_of(below, stages).make()
        rows = tuple(replace(one, name=f"{one.name} {name}") for one in plan.stages)
        plans.append(replace(plan, stages=rows, left_out=tuple(f"{name}: {one}" for one in plan.left_out)))

    if config.ladder.shared:
        add("at all sizes", _of_all(config, sizes), SHARED_TIME, [TRAINING])
        config = replace(config, train=_restated(config.train, None))
    for number, size in enumerate(sizes):
        share = None if config.ladder.shared else _part(sizes, number)
        add(f"at {size} pixels", _at_size(config, size), share, OF_SIZE)
    rows = chain.from_iterable(one.stages for one in plans)
    notes = chain.from_iterable(one.left_out for one in plans)
    return Plan(limit_s, tuple(rows), tuple(notes), all(one.fits for one in plans))


def _part(sizes: Sequence[int], number: int) -> float:
    """Of the time that is left for a size and those behind it, the size's own: by pixels."""
    return sizes[number] ** 2 / sum(one**2 for one in sizes[number:])


def _of_all(config: Config, sizes: list[int]) -> Config:
    largest = replace(config.data, image_size=sizes[-1])
    return replace(config, data=largest, train=replace(config.train, sizes=sizes))


def _below(session: Session, folder: str, config: Config, net: NetSpec | None = None) -> Session:
    """A run of its own below the ladder's. Args: net: whose weights it starts from, with what they ask of it."""
    config = replace(config, run_dir=str(session.path(folder)))
    if session.workspace.writes:
        write_atomic(session.path(folder) / "config.yaml", to_yaml(config).encode())
    return session.below(folder, config, net)


def _within(config: Config, left_s: float, share: float | None) -> Config:
    """``config`` with its part of the time that is left. Args: share: None for what trains nothing."""
    limit = None if config.time_limit is None or share is None else f"{max(1.0, left_s * share):.0f}s"
    return replace(config, time_limit=limit)


def _at_size(config: Config, size: int) -> Config:
    return replace(config, data=replace(config.data, image_size=size))


def _restated(train: TrainConfig, weights: Path | None) -> TrainConfig:
    """Nothing but statistics and ranges anew, for weights that are trained."""
    return replace(
        train,
        weights=None if weights is None else str(weights),
        head_epochs=0,
        float_epochs=0,
        epochs=0,
        frozen_epochs=0,
        max_ptq_loss=None,
        fresh_statistics=True,
        distill=replace(train.distill, teacher=None, weights=None),
    )


LADDER = Stage(
    "ladder",
    LADDER_FILE,
    LadderResult,
    ("seed", "data", "quant", "train", "ladder", "latency", "export"),
    training_inputs,
    _climb,
    of_images=True,
)
