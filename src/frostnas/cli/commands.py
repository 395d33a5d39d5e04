"""What the commands do: open the run directory, run stages or evaluate, and give back what to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from frostnas.artifacts import Timing, write_atomic
from frostnas.config import Config
from frostnas.config.compose import to_yaml
from frostnas.data import load as load_data
from frostnas.deploy.evaluation import Evaluation, answer, confusion_matrix, scores
from frostnas.deploy.export import INT8_NAME
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.engine import Workspace, pick_device
from frostnas.latency import measure_files
from frostnas.nets import count, zoo_entries
from frostnas.pipeline import CHAIN, STAGES, Session, load_table
from frostnas.report import tables


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command's result."""

    data: Any
    """For `--json`."""
    view: RenderableType
    """For the terminal."""


@contextmanager
def _session(config: Config, console: Console, quiet: bool) -> Iterator[Session]:
    with Workspace.open(Path(config.run_dir), console=console, quiet=quiet) as workspace:
        yield Session(config, workspace)
        if workspace.writes:
            write_atomic(workspace.run_dir / "config.yaml", to_yaml(config).encode())


def stage(name: str, config: Config, console: Console, quiet: bool, force: bool) -> Outcome:
    """Run one stage on its inputs."""
    with _session(config, console, quiet) as session:
        value = STAGES[name].run(session, force=force)
        return Outcome(value, tables.artifact_table(value, session.path(STAGES[name].artifact)))


def chain(config: Config, console: Console, quiet: bool, force: bool) -> Outcome:
    """Run every stage that is not done yet, and sum the run up."""
    with _session(config, console, quiet) as session:
        values = {stage.name: stage.run(session, force=force) for stage in CHAIN}
        run = tables.RunSummary(
            block=values["search-block"],
            latency=values["profile-latency"],
            net=values["search-net"],
            train=values["train"],
            export=values["export"],
        )
        return Outcome(values, tables.run_table(run, session.workspace.run_dir))


def evaluate(config: Config, path: Path | None, console: Console, quiet: bool) -> Outcome:
    """Score an exported file, or a run's INT8 file, on the test split of the data."""
    path = path or Path(config.run_dir)
    file = path / INT8_NAME if path.is_dir() else path
    model = OnnxClassifier(file, config.latency.threads)
    sized = replace(config.data, image_size=model.images.image_size)
    data = load_data(sized, pick_device(config.device))
    answers = answer(model, data.test, data.format)
    classes = model.images.classes
    confusion = confusion_matrix(answers.labels, answers.ranked[:, 0], len(classes))
    right = answers.ranked == answers.labels[:, None]
    timing: Timing = measure_files([file], config.latency)[0]
    result = Evaluation(
        path=str(file),
        images=len(answers.labels),
        top1=float(right[:, 0].mean()),
        top5=float(right.any(1).mean()),
        classes=scores(confusion, classes),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        latency_ms_p50=timing.p50,
        latency_ms_p90=timing.p90,
        size_bytes=file.stat().st_size,
    )
    return Outcome(result, tables.evaluation_view(result))


def zoo(config: Config) -> Outcome:
    """List the named networks; `table=` adds predicted latencies, which need the table's workloads."""
    table = load_table(Path(config.table)) if config.table else None
    rows = []
    for entry in zoo_entries():
        spec = entry.spec(classes=1000, image_size=224)
        counts = count(spec)
        latency_ms = table.predict_ms(spec) if table is not None and table.covers(spec) else None
        rows.append(tables.ZooRow(entry.name, entry.family, entry.width, counts.parameters, counts.macs, latency_ms))
    return Outcome([asdict(row) for row in rows], tables.zoo_table(rows))
