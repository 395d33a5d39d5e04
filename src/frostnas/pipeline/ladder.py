"""The ladder: one network at several image sizes, each trained, exported and measured, to hold searches against.

Every size is a run of its own below `sizes/`, with all files of a training and an export; `frostnas evaluate` and
`frostnas predict` take it as one. Of a time limit each gets a share that grows with its pixels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from frostnas.artifacts import ExportReport, LadderResult, NetSpec, Rung, TrainResult, write_atomic
from frostnas.config import Config, TrainConfig
from frostnas.config.compose import to_yaml
from frostnas.config.limits import seconds_of
from frostnas.latency import measure_files, target_host
from frostnas.pipeline.chain import begin_plan, run_one, run_planned
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
TIME_LIMIT = "time_limit"


def _climb(session: Session, work: Work) -> LadderResult:
    config, force = session.config, work.forced
    cpu, sizes = target_host(config.latency).cpu, sorted(config.ladder.sizes)  # rather refused now than after hours
    parent: TrainResult | None = None
    clock = Clock(None if config.time_limit is None else seconds_of(TIME_LIMIT, config.time_limit))
    if config.ladder.shared:
        largest = replace(config.data, image_size=sizes[-1])
        all_sizes = replace(config, data=largest, train=replace(config.train, sizes=sizes))
        parent = run_one(_below(session, SHARED, _within(all_sizes, clock.left_s, SHARED_TIME)), TRAINING, force=force)
        config = replace(config, train=_restated(config.train, session.path(SHARED) / WEIGHTS))
    net = parent.net if parent is not None else None
    runs: dict[int, Session] = {}
    done: dict[int, tuple[TrainResult, ExportReport]] = {}
    for number, size in enumerate(sizes):
        session.workspace.say(f"ladder: {size} pixels")
        share = size**2 / sum(one**2 for one in sizes[number:])
        own = _within(_at_size(config, size), clock.left_s, share if parent is None else None)
        runs[size] = run = _below(session, f"sizes/{size}", own, net)
        planned = begin_plan(run, (TRAINING, EXPORTING), force=force)
        trained, exported = (run_planned(run, planned, stage, force=force) for stage in (TRAINING, EXPORTING))
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


def _restated(train: TrainConfig, weights: Path) -> TrainConfig:
    """Nothing but statistics and ranges anew, for weights that are trained."""
    return replace(
        train,
        weights=str(weights),
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
