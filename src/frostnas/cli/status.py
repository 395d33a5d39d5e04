"""`frostnas status`: what of a run is done, what is running, for how long, and what stopped it. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from frostnas.artifacts import rows_of_figures
from frostnas.artifacts.limits import Count
from frostnas.cli.outcome import Outcome
from frostnas.config import Config
from frostnas.config.compose import read_stored
from frostnas.config.given import given
from frostnas.config.identity import part
from frostnas.config.yaml_files import SETTINGS
from frostnas.errors import InputError
from frostnas.report.grids import Grid, Rows
from frostnas.report.tables import view
from frostnas.report.units import roughly

LOG, LOCK = "frostnas.log", ".lock"
LINE = re.compile(r"^(\S+ \S+),\d+ (INFO|ERROR) \S+: (.*)$")
WHY = {"KeyboardInterrupt": "interrupted (Ctrl-C, or a request to end)"}


@dataclass(frozen=True, slots=True)
class Counted:
    """Of a row of metrics its epoch."""

    epoch: Count


@dataclass(frozen=True, slots=True)
class Epochs:
    """Of a stage that counts them: how many there will be, and how many there are."""

    metrics: str
    """File with a row for each that is done."""
    keys: tuple[str, ...]
    """Of the config: all of them are the sum of these."""

    def of(self, folder: Path, config: Config) -> tuple[int, int]:
        """Those done in a run directory, and all."""
        done = len(set(rows_of_figures(folder / self.metrics, Counted)))
        return done, sum(part(config, key) for key in self.keys)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage as it looks from outside."""

    command: str
    artifact: str
    epochs: Epochs | None = None
    asked: bool = True
    """Whether a person gives the command; what is done within another is shown once it has begun."""


STEPS = (
    Step("search-block", "block.json"),
    Step("profile-latency", "latency.json"),
    Step("train-parent", "parent/train.json", Epochs("parent/metrics/train.csv", ("parent.epochs",)), asked=False),
    Step("search-net", "net.json", Epochs("metrics/search-net.csv", ("search_net.float_epochs", "search_net.epochs"))),
    Step("train", "train.json", Epochs("metrics/train.csv", ("train.float_epochs", "train.epochs"))),
    Step("export", "export.json"),
)


@dataclass(frozen=True, slots=True)
class StepStatus:
    """Where one stage is."""

    command: str
    state: str
    """`done`, `running`, `stopped`, `next` or `later`."""
    started: str = ""
    """Of what is not done: date and time of its last start."""
    epochs: str = ""
    """`done of all`, where the stage counts them."""
    seconds_left: float | None = None
    """Estimated from the epochs so far; None where there is nothing to estimate from."""
    said: str = ""
    """What stopped it, or what to do."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What the log of a run says of its last command."""

    current: str = ""
    """The stage that was started and is not done."""
    started: str = ""
    starts: int = 0
    """Of it, since it was last done: more than one after an interruption."""
    error: str = ""


def status(config: Config, path: Path | None) -> Outcome:
    """Look at a run directory without touching it.

    Raises:
        InputError: the folder is none of a run.
    """
    folder = path or Path(config.run_dir)
    if not (folder / LOG).is_file() and not any((folder / step.artifact).is_file() for step in STEPS):
        raise InputError(f"{folder}: not a run directory; expected one that a stage has worked in")
    steps = _steps(folder, _read(folder / LOG), _locked(folder / LOCK))
    return Outcome(steps, view(*_grids(folder, steps)))


def _steps(folder: Path, journal: Journal, locked: bool) -> list[StepStatus]:
    """Those that have begun, and those to come that the run's config asks for.

    What is not done when a later one has begun was not needed for it.
    """
    found: list[StepStatus] = []
    settings = folder / SETTINGS
    config = read_stored(settings, Config) if settings.is_file() else None
    needless = given(config) if config else frozenset()
    for step in STEPS:
        if step.command == journal.current:
            found = [*(one for one in found if one.state == "done"), _current(folder, config, step, journal, locked)]
        elif (folder / step.artifact).is_file():
            found.append(StepStatus(step.command, "done"))
        elif not step.asked or step.command in needless:
            continue
        elif all(one.state == "done" for one in found):
            found.append(StepStatus(step.command, "next", said=f"frostnas {step.command} run_dir={folder}"))
        else:
            found.append(StepStatus(step.command, "later"))
    return found


def _current(folder: Path, config: Config | None, step: Step, journal: Journal, locked: bool) -> StepStatus:
    done, total = step.epochs.of(folder, config) if step.epochs and config else (0, 0)
    epochs = f"{done} of {total}" if total else ""
    if not locked:
        why = journal.error or "its process ended without a word: killed, or the machine went down"
        return StepStatus(step.command, "stopped", journal.started, epochs, said=why)
    left = None
    if step.epochs and done and journal.starts == 1:  # after an interruption the pause is in the time, too
        began = datetime.fromisoformat(journal.started).timestamp()
        per_epoch = ((folder / step.epochs.metrics).stat().st_mtime - began) / done
        left = max(per_epoch * (total - done), 0.0)
    return StepStatus(step.command, "running", journal.started, epochs, left)


def _read(log: Path) -> Journal:
    """The last stage that the log says nothing of having ended."""
    journal = Journal()
    for line in log.read_text(errors="replace").splitlines() if log.is_file() else ():
        matched = LINE.match(line)
        if not matched:
            continue
        when, level, text = matched.groups()
        command, _, event = text.partition(": ")
        if event == "started":
            again = command == journal.current
            journal = Journal(command, when, journal.starts + 1 if again else 1)
        elif command == journal.current and event.startswith(("done (", "already done (")):
            journal = Journal()
        elif level == "ERROR" and journal.current and text.startswith("stopped by "):
            kind, _, rest = text.removeprefix("stopped by ").partition(": ")
            why = WHY.get(kind) or f"{kind}: {rest}"
            journal = Journal(journal.current, journal.started, journal.starts, why)
    return journal


def _locked(lock: Path) -> bool:
    """Whether a process works in the run directory."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # a directory that only others may write to
        return False


def _grids(folder: Path, steps: list[StepStatus]) -> list[Grid]:
    """A row per stage, and below what there is to say of some, in lines as wide as the terminal."""
    rows: Rows = [(one.command, one.state, one.started, one.epochs, duration(one.seconds_left)) for one in steps]
    said: Rows = [(one.command, one.said) for one in steps if one.said]
    stages = Grid(f"run: {folder}", rows, ("stage", "state", "started", "epochs", "left"), ("stage", "state"))
    return [stages, Grid("", said)] if said else [stages]


def duration(seconds: float | None) -> str:
    """As a person says it; empty for None."""
    return "" if seconds is None else f"about {roughly(seconds)}"
