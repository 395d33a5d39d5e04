"""The commands that run stages in a run directory: each alone, and `run`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from frostnas.artifacts import LatencyTable, load_table, write_atomic
from frostnas.cli.bundle import remember
from frostnas.cli.outcome import Outcome
from frostnas.config import Config
from frostnas.config.compose import to_yaml
from frostnas.deploy.formats.registry import check_installed
from frostnas.engine import Workspace, keep_freed_memory
from frostnas.errors import InputError
from frostnas.latency import Carried
from frostnas.pipeline import STAGES, Session, run_chain
from frostnas.pipeline.source import with_normalisation
from frostnas.readable import readable
from frostnas.report.grids import RunSummary, artifact_grids, run_grid
from frostnas.report.tables import view


@contextmanager
def _session(config: Config, console: Console, quiet: bool) -> Iterator[Session]:
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
        try:
            yield Session(config, workspace)
        except InputError:
            if new:
                path.unlink(missing_ok=True)  # later commands take their data from it
            raise
        if workspace.writes:
            write_atomic(path, content)


def stage(name: str, config: Config, console: Console, quiet: bool, force: bool) -> Outcome:
    """Run one stage on its inputs."""
    with _session(config, console, quiet) as session:
        try:
            value = STAGES[name].run(session, force=force)
        except Carried as carried:
            remember(config, session.workspace.run_dir)
            return Outcome({"bundle": str(carried.path)}, _on_foot(carried.path, config))
        path = session.path(STAGES[name].artifact)
        shown = load_table(path) if isinstance(value, LatencyTable) else value
        return Outcome(value, view(*artifact_grids(shown, path)))


def _on_foot(bundle: Path, config: Config) -> Text:
    back = f"frostnas profile-latency import results.json {shlex.quote(f'run_dir={config.run_dir}')}"
    said = (f"wrote {bundle}", "unpack it on the target and run there:  python3 agent.py", f"then here:  {back}")
    return Text("\n".join(map(readable, said)), no_wrap=True, overflow="ignore")


def chain(config: Config, console: Console, quiet: bool, force: bool) -> Outcome:
    """Run every stage that is not done yet and whose output is not given, and sum the run up."""
    check_installed(config.export.formats)  # rather now than after hours
    with _session(config, console, quiet) as session:
        values = run_chain(session, force=force)
        run = RunSummary(
            block=values.get("search-block"),
            latency=values.get("profile-latency"),
            net=values.get("search-net"),
            train=values["train"],
            export=values["export"],
        )
        return Outcome(values, view(run_grid(run, session.workspace.run_dir)))
