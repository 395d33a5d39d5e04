"""The stages as functions for programs of one's own: a typed config and artifacts in, an artifact out.

Each works in `config.run_dir`, which holds its files as after the command of the same name: what is finished there is
read and not made again, what was interrupted goes on, and another process in the folder is refused. Unless a block or a
network is given, a stage goes on from what earlier ones have left there, or from what the config names.

All of them raise InputError where the config, an input or what lies in the folder does not fit; set the global seeds of
Python, NumPy and torch to `config.seed`; and, unless `quiet`, say on standard error how far they are. ``force`` begins
anew and replaces what is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console

from frostnas.artifacts import (
    EARLY,
    BlockResult,
    BlockSpec,
    ExportReport,
    LadderResult,
    LatencyTable,
    NetResult,
    NetSpec,
    TrainResult,
    load,
    load_table,
    write_atomic,
)
from frostnas.config import Config, TargetName
from frostnas.config.compose import to_yaml, typed
from frostnas.deploy.formats.registry import check_installed
from frostnas.engine import Workspace, keep_freed_memory
from frostnas.errors import InputError
from frostnas.pipeline.chain import run_chain, run_one
from frostnas.pipeline.ladder import LADDER
from frostnas.pipeline.planning import repeatable
from frostnas.pipeline.session import Session
from frostnas.pipeline.source import with_normalisation
from frostnas.pipeline.stages import EXPORTING, PROFILE, SEARCH_BLOCK, SEARCH_NET, TRAINING
from frostnas.pipeline.trained import TRAIN
from frostnas.report.grids import First, RunSummary


@contextmanager
def opened(
    config: Config,
    console: Console | None = None,
    quiet: bool = False,
    *,
    block: BlockSpec | None = None,
    net: NetSpec | None = None,
) -> Iterator[Session]:
    """A locked run directory that holds the config of its last finished command, or of its first unfinished one."""
    keep_freed_memory()
    config = with_normalisation(config)
    folder = Path(config.run_dir)
    with Workspace.open(
        folder,
        console=console,
        quiet=quiet,
        logger=config.logger,
        checkpoint_s=config.checkpoint_s,
        peer_timeout_s=config.peer_timeout_s,
    ) as workspace:
        path, content = workspace.run_dir / "config.yaml", to_yaml(config).encode()
        new = workspace.writes and not path.exists()
        if new:
            write_atomic(path, content)
        session = Session(config, workspace, net, block)
        try:
            yield session
        except InputError:
            if new:
                path.unlink(missing_ok=True)  # later commands take their data from it
            raise
        if workspace.writes:
            write_atomic(path, content if config.time_limit is None else to_yaml(repeatable(session.config)).encode())


def summary(values: Mapping[str, Any], session: Session) -> RunSummary:
    """What `run_chain` made, by its kind, and of which network the exported file is."""
    run = RunSummary(
        block=values.get("search-block"),
        latency=values.get("profile-latency"),
        net=values.get("search-net"),
        train=values.get("train"),
        export=values.get("export"),
    )
    first = session.path(EARLY) / TRAIN
    if not first.is_file():
        return run
    kept = session.trained_in != session.workspace.run_dir
    return replace(run, first=First(load(first, TrainResult).value, exported=kept))


def search_block(config: Config, *, quiet: bool = False, force: bool = False) -> BlockResult:
    """Stage 1: the building block. Writes `block.json`."""
    with opened(_checked(config), quiet=quiet) as session:
        return run_one(session, SEARCH_BLOCK, force=force)


def profile_latency(
    config: Config, block: BlockSpec | None = None, *, quiet: bool = False, force: bool = False
) -> LatencyTable:
    """Measure the INT8 latency of every part of the networks around ``block``. Writes `latency.json`, `latency.csv`.

    Here or over ssh; a bundle to carry is the command's alone.
    """
    if config.latency.target.name is TargetName.bundle:
        raise InputError(
            "latency.target.name=bundle: expected local or ssh; `frostnas profile-latency --out ZIP` does it"
        )
    with opened(_checked(config), quiet=quiet, block=block) as session:
        run_one(session, PROFILE, force=force)
        return load_table(session.path(PROFILE.artifact))


def search_net(
    config: Config, block: BlockSpec | None = None, *, quiet: bool = False, force: bool = False
) -> NetResult:
    """Stage 2: the network of ``block`` within the budget, by a latency table. Writes `net.json`, `net.safetensors`."""
    with opened(_checked(config), quiet=quiet, block=block) as session:
        return run_one(session, SEARCH_NET, force=force)


def train(config: Config, net: NetSpec | None = None, *, quiet: bool = False, force: bool = False) -> TrainResult:
    """Stage 3: train a network, quantization-aware. Writes `train.json`, `weights.safetensors`.

    Args:
        net: its layers, taken at the images' size and classes; it starts from `train.weights` or from fresh ones. By
            default what `config.net` names or the run's search has found, from the weights that the search trained.
    """
    with opened(_checked(config), quiet=quiet, net=net) as session:
        return run_one(session, TRAINING, force=force)


def export(config: Config, *, quiet: bool = False, force: bool = False) -> ExportReport:
    """Stage 4: the run's trained network as files, run back and measured. Writes `model.int8.onnx`, `export.json`."""
    check_installed(config.export.formats)
    with opened(_checked(config), quiet=quiet) as session:
        return run_one(session, EXPORTING, force=force)


def ladder(config: Config, *, quiet: bool = False, force: bool = False) -> LadderResult:
    """One network trained, exported and measured at several image sizes. Writes `ladder.json`."""
    with opened(_checked(config), quiet=quiet) as session:
        return run_one(session, LADDER, force=force)


def run(config: Config, *, quiet: bool = False, force: bool = False) -> RunSummary:
    """All stages whose output the config does not give, one after another."""
    check_installed(config.export.formats)  # rather now than after hours
    with opened(_checked(config), quiet=quiet) as session:
        return summary(run_chain(session, force=force), session)


def _checked(config: Config) -> Config:
    """Values that a program has set are checked as those of the command line are."""
    return typed(OmegaConf.structured(config))
