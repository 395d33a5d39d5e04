"""The chain: what each stage reads, what it does and what it writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_safetensors

from frostnas import latency, training
from frostnas.artifacts import (
    BlockResult,
    ExportReport,
    LatencyTable,
    NetResult,
    NetSpec,
    ParetoRow,
    Timing,
    TrainResult,
    csv_of,
    save,
    sha256_of,
    sha256_of_value,
    write_atomic,
    write_rows,
)
from frostnas.config import Config, DistillConfig
from frostnas.deploy import export
from frostnas.engine import Recipe
from frostnas.latency import profile
from frostnas.latency.nets import measure_nets
from frostnas.latency.pace import measure_beside
from frostnas.latency.variations import vary
from frostnas.nets.state_files import weights_file
from frostnas.pipeline.adaptation import adaptation_inputs, adapted, of_parent
from frostnas.pipeline.baselines import BASELINES, baseline_rows, baseline_specs, baselines_identity
from frostnas.pipeline.goals import goals, table_input
from frostnas.pipeline.peak import say_peak
from frostnas.pipeline.session import EXPORT, NET_WEIGHTS, PARETO, ROWS, Session
from frostnas.pipeline.sizes import BLOCK, NET, TABLE
from frostnas.pipeline.source import other_normalisation
from frostnas.pipeline.stage import Stage, Work
from frostnas.pipeline.target import difference
from frostnas.pipeline.teacher import identity, speaking_of
from frostnas.pipeline.trained import TRAIN, WEIGHTS, check_weights
from frostnas.pipeline.views import to_search, to_train
from frostnas.quant import Scheme
from frostnas.report.plots import draw_block, draw_pareto, draw_training
from frostnas.search import block as search_block
from frostnas.search import net as search_net


def _search_block(session: Session, work: Work) -> BlockResult:
    measure = partial(measure_nets, session.config.latency, session.config.quant)
    result = search_block.run(session.config, session.data, measure, session.workspace, work.identity)
    if session.workspace.writes:
        draw_block(result, work.folder)
    return result


def _profile(session: Session, work: Work) -> LatencyTable:
    if session.config.net is None:
        space = session.space
        table = profile.run(session.config, space.workloads(), space.sample, session.workspace)
    else:
        net = session.net
        table = profile.run(
            session.config, list({w.key: w for w in net.workloads()}.values()), partial(vary, net), session.workspace
        )
    digest = write_rows(work.folder / ROWS, table.rows)
    return replace(table, rows=(), csv_sha256=digest)


def _search_net(session: Session, work: Work) -> NetResult:
    targets = goals(session)
    for table in {id(target.table): target.table for target in targets}.values():
        for warning in table.warnings:
            session.workspace.say(f"search-net: warning: the table of {table.host.cpu}: {warning}")
    named = baseline_specs(session)
    parent, lesson = adapted(session, PARENT)
    if parent is not None or len(session.sizes) > 1:
        say_peak(session, lesson)
    data, lesson = to_search(session.data_to_search, lesson, session.config)
    space = session.space
    found = search_net.search(
        search_net.Job(session.config, data, space, targets, session.workspace, work.identity, lesson, parent)
    )
    baselines = baseline_rows(session, [found[0].result.net, *named]) if named else []
    block = session.block if session.parent is None else None
    results = [replace(one.result, block=block) for one in found]
    for number, (result, (_, rows, weights, front)) in enumerate(zip(results, found, strict=True), start=1):
        if not session.workspace.writes:
            break
        folder = work.folder if number == 1 else work.folder / f"targets/{number}"
        rows = (*rows, *(baselines if number == 1 else ()))  # they were measured on the run's own target
        write_atomic(folder / PARETO, csv_of(ParetoRow, rows))
        write_atomic(folder / NET_WEIGHTS, to_safetensors(weights))
        for place, (candidate, its_weights) in enumerate(front, start=1):
            write_atomic(folder / f"front/{place}" / NET_WEIGHTS, to_safetensors(its_weights))
            save(folder / f"front/{place}" / NET, replace(candidate, block=block), work.provenance)
        draw_pareto(result, rows, folder)
        if number > 1:
            save(folder / NET, result, work.provenance)
    return results[0]


def _train(session: Session, work: Work) -> TrainResult:
    config, net = session.config, session.net
    recipe, start = Recipe.of(config, "train"), session.start and session.start.given
    data, teacher = to_train(session.data_to_train, session.teacher, config, net.image_size)
    if start is not None:
        session.workspace.say(f"train: starting from {start}")
        if said := other_normalisation(session.config):
            session.workspace.say(f"train: warning: {said}")
    result, state = training.run(
        recipe, config.train, data, net, session.workspace, work.identity, start=start, teacher=teacher
    )
    if session.workspace.writes:
        write_atomic(work.folder / WEIGHTS, weights_file(state, result.source))
        if recipe.total_epochs:
            draw_training(session.path("metrics"), work.folder)
    return result


def _export(session: Session, work: Work) -> ExportReport:
    trained, net = session.trained, session.trained_net()
    config, table = session.config, _table_of(session, trained.net)
    test = session.data_like(trained.images).test

    def time_files(paths: Sequence[Path]) -> tuple[Sequence[Timing], float | None]:
        if table is None:
            return latency.measure_files(paths, config.latency), None
        return measure_beside(paths, config.latency, table, trained.net, Scheme.of(config.quant))

    predicted_ms = table.predict_ms(trained.net) if table is not None else None
    return export.run(config, net, trained, test, work.folder, time_files, predicted_ms)


def _table_of(session: Session, net: NetSpec) -> LatencyTable | None:
    """The table, where it says what one INT8 image takes the network on the target."""
    if not session.table_path.exists():
        return None
    table = session.table
    of_one_int8_image = (table.protocol.precision, table.protocol.batch) == ("int8", 1)
    holds = of_one_int8_image and table.covers(net) and difference(table, session.config.latency) is None
    return table if holds else None


def _profiled(session: Session) -> dict[str, str]:
    """Whose workloads are measured: those of a network, else of the space of a parent or around a block."""
    if session.config.net is not None:
        return {"net": sha256_of_value(session.net)}
    return _origin(session)


def _origin(session: Session) -> dict[str, str]:
    """What the space is made of."""
    if session.parent is not None:
        return {"parent": sha256_of_value(session.parent.spec)}
    return {"block": sha256_of_value(session.block)}


def _start(session: Session) -> dict[str, str]:
    return {session.start.name: session.start.sha256} if session.start else {}


def _teacher(key: str, distill: DistillConfig) -> dict[str, str]:
    """Args: key: config group that names the teacher."""
    if not distill.teacher:
        return {}
    with speaking_of(key):
        return {f"{key}.teacher": identity(distill)}


def training_inputs(session: Session) -> dict[str, str]:
    """Of whatever trains a network: its layers, its first weights, its teacher."""
    teacher = _teacher("train.distill", session.config.train.distill)
    return {"net": sha256_of_value(session.net), **_start(session), **teacher}


def _other_tables(session: Session) -> dict[str, str]:
    """Hashes of the tables of `budget.others`."""
    paths = [Path(other.table) if other.table else None for other in session.config.budget.others]
    return {
        f"budget.others.{number}.table": sha256_of(path)
        for number, path in enumerate(paths)
        if path is not None and path.is_file()
    }


def _baselines(session: Session) -> dict[str, str]:
    """How the networks of `search_net.baselines` are trained."""
    return {BASELINES: baselines_identity(session)} if session.config.search_net.baselines else {}


def _exported(session: Session) -> dict[str, str]:
    """The finished training, with its weights."""
    digest, folder = session.trained.weights_sha256, session.trained_in
    check_weights(folder / WEIGHTS, session.trained)
    return {TRAIN: sha256_of(folder / TRAIN), WEIGHTS: digest}


SPACE = ("space.network", "space.resolutions", "parent.kernels", "parent.expands", "parent.widths")
SEARCH_BLOCK = Stage(
    "search-block",
    BLOCK,
    BlockResult,
    ("seed", "data", "quant", "space.block", "search_block", "latency"),
    lambda session: {},
    _search_block,
    of_images=True,
    journals=("checkpoints/search-block*",),
    figures=("metrics/search-block.csv",),
)
PROFILE = Stage(
    "profile-latency",
    TABLE,
    LatencyTable,
    ("seed", "data.image_size", "quant.weight_bits", "quant.signed_activations", *SPACE, "latency"),
    _profiled,
    _profile,
    journals=("checkpoints/latency/journal.jsonl", "checkpoints/latency/results.json"),
)
SEARCH_NET = Stage(
    "search-net",
    NET,
    NetResult,
    ("seed", "data", "quant", *SPACE, "parent.epochs", "parent.image_size", "parent.teaches", "budget", "search_net"),
    lambda session: {
        **_origin(session),
        **adaptation_inputs(session),
        TABLE: table_input(session),
        **_other_tables(session),
        **_baselines(session),
        **_teacher("search_net.distill", session.config.search_net.distill),
    },
    _search_net,
    of_images=True,
    journals=("checkpoints/search_net*", "alone", "baselines", "finals"),
    figures=("metrics/search-net.csv",),
    beside=(BASELINES,),
)
TRAINING = Stage(
    "train",
    TRAIN,
    TrainResult,
    ("seed", "data", "quant", "train"),
    training_inputs,
    _train,
    of_images=True,
    journals=("checkpoints/train*",),
    figures=("metrics/train.csv", "metrics/ranges.csv"),
)
EXPORTING = Stage("export", EXPORT, ExportReport, ("export", "latency"), _exported, _export)
PARENT = replace(TRAINING, name="train-parent", below=of_parent)
CHAIN: tuple[Stage[Any], ...] = (SEARCH_BLOCK, PROFILE, SEARCH_NET, TRAINING, EXPORTING)


def with_parent(config: Config, stages: Iterable[Stage[Any]]) -> tuple[Stage[Any], ...]:
    """``stages`` with the training of the parent, where it is to be trained, before the search that cuts it."""
    trained = config.parent.net is not None and config.parent.epochs > 0
    pairs = ((PARENT, stage) if trained and stage is SEARCH_NET else (stage,) for stage in stages)
    return tuple(chain.from_iterable(pairs))
