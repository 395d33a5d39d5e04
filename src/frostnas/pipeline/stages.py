"""The chain: what each stage reads, what it writes, and whether that is already done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd
from safetensors.torch import save as to_safetensors

from frostnas import latency, training
from frostnas.artifacts import (
    Artifact,
    BlockResult,
    ExportReport,
    LatencyTable,
    NetResult,
    NetSpec,
    Provenance,
    TrainResult,
    load,
    load_table,
    save,
    sha256_of,
    sha256_of_value,
    write_atomic,
    write_rows,
)
from frostnas.config.compose import to_plain
from frostnas.deploy import export
from frostnas.errors import InputError
from frostnas.latency import profile
from frostnas.latency.nets import measure_nets
from frostnas.latency.variations import vary
from frostnas.pipeline.baselines import baseline_rows, baseline_specs
from frostnas.pipeline.session import BLOCK, EXPORT, NET, NET_WEIGHTS, PARETO, ROWS, TABLE, Session
from frostnas.pipeline.source import other_normalisation
from frostnas.pipeline.target import check_table, difference
from frostnas.pipeline.teacher import identity
from frostnas.pipeline.trained import TRAIN, WEIGHTS
from frostnas.report.block_plots import write_block_plots
from frostnas.report.pareto_plot import save_pareto_plot
from frostnas.report.range_plot import save_range_plot
from frostnas.report.training_plot import save_training_plot
from frostnas.search import block as search_block
from frostnas.search import net as search_net
from frostnas.training.phases import total_epochs

T = TypeVar("T", bound=Artifact)
NOT_HASHED = {
    "data": ("root", "download", "strict", "workers", "in_memory_mb"),
    "latency.target": ("port", "ssh_config", "python", "folder", "patience_s", "out", "results"),
    # The content of these is an input of its own:
    "train": ("weights",),
    "train.distill": ("teacher", "weights"),
}
"""Keys that say where things are, not what comes out."""


@dataclass(frozen=True, slots=True)
class Stage(Generic[T]):
    """One step of the chain."""

    name: str
    """The command."""
    artifact: str
    """Its main file in the run directory."""
    kind: type[T]
    reads: tuple[str, ...]
    """Config groups and keys that its result depends on."""
    inputs: Callable[[Session], dict[str, str]]
    """Hashes of what it consumes."""
    compute: Callable[[Session], T]
    """Do the work; write the files beside the artifact."""

    def provenance(self, session: Session) -> Provenance:
        config = to_plain(session.config)
        part: dict[str, Any] = {}
        for key in self.reads:
            group, _, name = key.partition(".")
            part[key] = _hashed(key, config[group][name] if name else config[group])
        return Provenance(part, self.inputs(session))

    def existing(self, session: Session) -> T | None:
        """The finished artifact, if it was made from the same config and inputs; None if there is none.

        Raises:
            InputError: there is one, made from something else.
        """
        path = session.path(self.artifact)
        if not path.exists():
            return None
        stored, wanted = load(path, self.kind), self.provenance(session)
        changed = _changes(stored.provenance.config, wanted.config) + [
            f"input {name}"
            for name in sorted(stored.provenance.inputs.keys() | wanted.inputs.keys())
            if stored.provenance.inputs.get(name) != wanted.inputs.get(name)
        ]
        if changed:
            raise InputError(f"{path}: was made with other {', '.join(changed[:3])}; use another run_dir= or --force")
        return stored.value

    def run(self, session: Session, *, force: bool = False) -> T:
        """The artifact: as it is if it is already there, else computed and saved."""
        done = None if force else self.existing(session)
        if done is not None:
            session.workspace.say(f"{self.name}: already done ({session.path(self.artifact)})")
            return done
        session.workspace.say(f"{self.name}: started")
        provenance = self.provenance(session)
        value = self.compute(session)
        if session.workspace.writes:
            save(session.path(self.artifact), value, provenance)
        session.workspace.say(f"{self.name}: done ({session.path(self.artifact)})")
        return value


def _hashed(key: str, value: Any) -> Any:
    """A config value, or a group without the keys that say where things are."""
    if not isinstance(value, dict):
        return value
    return {name: _hashed(f"{key}.{name}", v) for name, v in value.items() if name not in NOT_HASHED.get(key, ())}


def _changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Keys that differ, as `key (old, now new)`."""
    found = []
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            found += _changes(before, value, f"{prefix}{key}.")
        elif before != value:
            found.append(f"{prefix}{key} ({before}, now {value})")
    return found


def _search_block(session: Session) -> BlockResult:
    measure = partial(measure_nets, session.config.latency, session.config.quant)
    result = search_block.run(session.config, session.data, measure, session.workspace)
    write_block_plots(result, session.workspace.run_dir)
    return result


def _profile(session: Session) -> LatencyTable:
    if session.config.net is None:
        space = session.space
        table = profile.run(session.config, space.workloads(), space.sample, session.workspace)
    else:
        net = session.net
        table = profile.run(
            session.config, list({w.key: w for w in net.workloads()}.values()), partial(vary, net), session.workspace
        )
    digest = write_rows(session.path(ROWS), table.rows)
    return replace(table, rows=(), csv_sha256=digest)


def _search_net(session: Session) -> NetResult:
    budget, own_table = session.config.budget, session.table
    check_table(own_table, session.config, session.table_path)
    targets = [search_net.Goal(own_table, budget)]
    for other in budget.others:
        table = load_table(Path(other.table)) if other.table else own_table
        own = replace(budget, latency_ms=other.latency_ms, fraction=other.fraction, others=[])
        targets.append(search_net.Goal(table, own))
    for table in {id(target.table): target.table for target in targets}.values():
        for warning in table.warnings:
            session.workspace.say(f"search-net: warning: the table of {table.host.cpu}: {warning}")
    named = baseline_specs(session)
    found = search_net.search(session.config, session.data, session.block, targets, session.workspace)
    baselines = baseline_rows(session, [found[0].result.net, *named]) if named else []
    for number, (result, rows, weights) in enumerate(found, start=1):
        if not session.workspace.writes:
            break
        folder = session.workspace.run_dir if number == 1 else session.path(f"targets/{number}")
        rows = (*rows, *(baselines if number == 1 else ()))  # they were measured on the run's own target
        text = pd.DataFrame([asdict(row) for row in rows]).to_csv(index=False)
        write_atomic(folder / PARETO, text.encode())
        write_atomic(folder / NET_WEIGHTS, to_safetensors(weights))
        save_pareto_plot(folder, result, rows)
        if number > 1:
            save(folder / NET, result, SEARCH_NET.provenance(session))
    return found[0].result


def _train(session: Session) -> TrainResult:
    config, start = session.config, session.start
    if start is not None:
        session.workspace.say(f"train: starting from {start.given}")
        if said := other_normalisation(session.config):
            session.workspace.say(f"train: warning: {said}")
        config = replace(config, train=replace(config.train, weights=start.given))
    result, state = training.run(config, session.data, session.net, session.workspace, session.teacher)
    if session.workspace.writes:
        write_atomic(session.path(WEIGHTS), to_safetensors(state))
        if total_epochs(session.config.train):
            save_training_plot(session.path("metrics/train.csv"), session.path("training.png"))
            save_range_plot(session.path("metrics/ranges.csv"), session.path("ranges.png"))
    return result


def _export(session: Session) -> ExportReport:
    trained = load(session.path(TRAIN), TrainResult).value
    net = session.trained_net(trained)
    time_files = partial(latency.measure_files, config=session.config.latency)
    predicted_ms = _predicted_here(session, trained.net)
    folder, test = session.workspace.run_dir, session.data_like(trained.images).test
    return export.run(session.config, net, trained, test, folder, time_files, predicted_ms)


def _predicted_here(session: Session, net: NetSpec) -> float | None:
    """What the table says of the exported network on the target; None where it was made otherwise."""
    if not session.table_path.exists():
        return None
    table = session.table
    of_one_int8_image = (table.protocol.precision, table.protocol.batch) == ("int8", 1)
    holds = of_one_int8_image and table.covers(net) and difference(table, session.config.latency) is None
    return table.predict_ms(net) if holds else None


def _file(session: Session, name: str) -> str:
    path = session.path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the stage that makes it first")
    return sha256_of(path)


def _table_input(session: Session) -> str:
    if not session.table_path.is_file():
        raise InputError(f"{session.table_path}: no such file; run `frostnas profile-latency` first or give table=")
    return sha256_of(session.table_path)


def _profiled(session: Session) -> dict[str, str]:
    """Whose workloads are measured: those of a network, else of the space around a block."""
    if session.config.net is not None:
        return {"net": sha256_of_value(session.net)}
    return {"block": sha256_of_value(session.block)}


def _start(session: Session) -> dict[str, str]:
    return {session.start.name: session.start.sha256} if session.start else {}


def _teacher(session: Session) -> dict[str, str]:
    distill = session.config.train.distill
    return {"train.distill.teacher": identity(distill)} if distill.teacher else {}


def _other_tables(session: Session) -> dict[str, str]:
    """Hashes of the tables of `budget.others`."""
    paths = {Path(other.table) for other in session.config.budget.others if other.table}
    return {str(path): sha256_of(path) for path in sorted(paths) if path.is_file()}


SEARCH_BLOCK = Stage(
    "search-block",
    BLOCK,
    BlockResult,
    ("seed", "data", "quant", "space.block", "search_block", "latency"),
    lambda session: {},
    _search_block,
)
PROFILE = Stage(
    "profile-latency",
    TABLE,
    LatencyTable,
    ("seed", "data.image_size", "quant.weight_bits", "quant.signed_activations", "space.network", "latency"),
    _profiled,
    _profile,
)
SEARCH_NET = Stage(
    "search-net",
    NET,
    NetResult,
    ("seed", "data", "quant", "space.network", "budget", "search_net"),
    lambda session: {
        "block": sha256_of_value(session.block),
        TABLE: _table_input(session),
        **_other_tables(session),
    },
    _search_net,
)
TRAINING = Stage(
    "train",
    TRAIN,
    TrainResult,
    ("seed", "data", "quant", "train"),
    lambda session: {"net": sha256_of_value(session.net), **_start(session), **_teacher(session)},
    _train,
)
EXPORTING = Stage(
    "export",
    EXPORT,
    ExportReport,
    ("export", "latency"),
    lambda session: {TRAIN: _file(session, TRAIN), WEIGHTS: _file(session, WEIGHTS)},
    _export,
)
CHAIN: tuple[Stage[Any], ...] = (SEARCH_BLOCK, PROFILE, SEARCH_NET, TRAINING, EXPORTING)
STAGES = {stage.name: stage for stage in CHAIN}
