"""Named networks beside what stage 2 found: measured, and trained alone for as long as the supernet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from frostnas import training
from frostnas.artifacts import NetSpec, ParetoRow, sha256_of_value
from frostnas.config.identity import what_matters
from frostnas.engine import Recipe
from frostnas.errors import InputError
from frostnas.latency.nets import measure_nets
from frostnas.nets import zoo_spec
from frostnas.pipeline.session import Session
from frostnas.pipeline.target import difference

BASELINES = "search_net.baselines"


def baseline_specs(session: Session) -> list[NetSpec]:
    """The networks of `search_net.baselines` for the images of the run.

    Raises:
        InputError: a name is not known, or the table is of a machine that cannot be asked for their latency.
    """
    if not session.config.search_net.baselines:
        return []
    other = difference(session.table, session.config.latency)
    if other:
        raise InputError(f"search_net.baselines: would be measured on another machine: the table was measured {other}")
    images = session.data.format
    try:
        return [zoo_spec(name, len(images.classes), images.image_size) for name in session.config.search_net.baselines]
    except InputError as error:
        raise InputError(f"search_net.baselines: {error}") from None


def baselines_identity(session: Session) -> str:
    """Of everything that the networks are trained with."""
    config, data, recipe = session.config, session.data, Recipe.of(session.config, "search_net")
    instead = {*(item.name for item in fields(recipe)), "inherit", "distill"}  # said by the recipe, or never asked for
    options = {name: value for name, value in what_matters(config.train).items() if name not in instead}
    return sha256_of_value([recipe, options, what_matters(config.data), data.record, data.format])


def baseline_rows(session: Session, specs: Sequence[NetSpec]) -> list[ParetoRow]:
    """One row per network: measured on the run's target, trained alone with the supernet's epochs and optimizer.

    Raises:
        MeasuringError: the measuring agent failed.
        TrainingError: the loss or an activation is not a finite number.
    """
    config, recipe, top1 = session.config, Recipe.of(session.config, "search_net"), []
    for spec in specs:
        session.workspace.say(f"search-net: training {spec.name} alone, to compare with")
        folder = session.workspace.run_dir / "baselines" / spec.name
        place = replace(session.workspace, run_dir=folder)  # its own checkpoint: an interrupted run goes on
        identity = sha256_of_value([baselines_identity(session), spec])
        result, _ = training.run(recipe, config.train, session.data, spec, place, identity)
        top1.append(result.fake_quant.val)
    if not specs or not session.workspace.writes:
        return []
    measured = measure_nets(session.config.latency, session.config.quant, specs)
    rows = zip(specs, measured, top1, strict=True)
    return [
        ParetoRow(spec.name, ms, value, on_front=False, picked=False, measured=True, alone=True)
        for spec, ms, value in rows
    ]
