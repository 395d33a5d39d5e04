"""The run directory: lock, log, metrics, progress."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frostnas.config import Logger
from frostnas.engine import MetricsWriter, Workspace, progress
from frostnas.errors import InputError

HOLD = """
import sys, time
from frostnas.engine import Workspace
with Workspace.open(sys.argv[1]):
    print("in", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_that_the_directory_is_in_use(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match=r"run_dir=.*another process")
    with Workspace.open(tmp_path, quiet=True), refused, Workspace.open(tmp_path):
        pass
    with Workspace.open(tmp_path, quiet=True):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "in\n"
    with pytest.raises(InputError, match="another process"), Workspace.open(tmp_path):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with Workspace.open(tmp_path, quiet=True):
        pass


def test_a_run_directory_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"run_dir="), Workspace.open(tmp_path / "file"):
        pass


def test_the_log_holds_what_was_said_and_what_stopped_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="boom"), Workspace.open(tmp_path, quiet=True) as workspace:
        workspace.say("hello")
        raise ValueError("boom")
    text = (tmp_path / "frostnas.log").read_text()
    assert "hello" in text
    assert "boom" in text


def test_metrics_go_on_after_the_rows_that_are_given_whatever_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "train.csv"
    first = MetricsWriter(path)
    first.row(epoch=0, loss=0.1)
    kept = first.text
    first.row(epoch=1, loss=1.1)
    path.write_bytes(b"\xff damage")
    second = MetricsWriter(path, kept)
    second.row(epoch=1, loss=7.0)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"epoch": "0", "loss": "0.1"}, {"epoch": "1", "loss": "7.0"}]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a folder of event files: (step, value) by tag."""
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def log_epochs(folder: Path, first: int, last: int, sign: int) -> None:
    """Train from epoch ``first`` to ``last``, as a run that has all before it in its checkpoint."""
    with Workspace.open(folder, quiet=True, logger=Logger.tensorboard) as workspace:
        train, ranges = workspace.metrics("train"), workspace.metrics("ranges", by=["layer"])
        for epoch in range(first, last + 1):
            train.row(epoch=epoch, phase="qat", loss=sign * epoch)
            ranges.rows({"epoch": epoch, "layer": layer, "high": sign * epoch} for layer in ("stem", "head"))


def test_tensorboard_shows_the_numbers_of_the_rows_by_epoch(tmp_path: Path) -> None:
    log_epochs(tmp_path, 1, 2, 1)
    assert scalars(tmp_path / "tensorboard" / "train") == {"loss": [(1, 1.0), (2, 2.0)]}
    rows = [(1, 1.0), (2, 2.0)]
    assert scalars(tmp_path / "tensorboard" / "ranges") == {"high/stem": rows, "high/head": rows}


@pytest.mark.parametrize("first", [1, 3], ids=["begun anew", "gone on with"])
def test_tensorboard_takes_back_the_epochs_that_are_trained_again(tmp_path: Path, first: int) -> None:
    log_epochs(tmp_path, 1, 4, 1)
    log_epochs(tmp_path, first, 5, -1)
    kept = [(epoch, float(epoch if epoch < first else -epoch)) for epoch in range(1, 6)]
    assert scalars(tmp_path / "tensorboard" / "train") == {"loss": kept}
    assert scalars(tmp_path / "tensorboard" / "ranges") == {"high/stem": kept, "high/head": kept}


def test_without_tensorboard_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    wanted = pytest.raises(InputError, match=r"logger=tensorboard: .*pip install 'frostnas\[tensorboard\]'")
    with wanted, Workspace.open(tmp_path / "run", logger=Logger.tensorboard):
        pass
    assert not (tmp_path / "run").exists()


def shown(*, terminal: bool, quiet: bool, tmp_path: Path) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120)
    with (
        Workspace.open(tmp_path, console=console, quiet=quiet) as workspace,
        workspace.progress("train", total=3) as bar,
    ):
        for loss in (3.0, 2.0, torch.tensor(0.5)):
            bar.step(loss=loss, top1=0.25)
    return text.getvalue()


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    text = shown(terminal=False, quiet=False, tmp_path=tmp_path)
    assert text == "train  3/3  loss 0.5  top1 0.25  done in 0:00\n"


def test_progress_is_silent_when_quiet(tmp_path: Path) -> None:
    assert shown(terminal=True, quiet=True, tmp_path=tmp_path) == ""


def test_progress_is_a_bar_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(progress, "DRAW_SECONDS", 0.0)
    text = shown(terminal=True, quiet=False, tmp_path=tmp_path)
    assert "3/3" in text
    assert "loss 0.5" in text
    assert "━" in text


def test_lines_come_every_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert shown(terminal=False, quiet=False, tmp_path=tmp_path).count("\n") == 3


INTERRUPT = """
import time
from frostnas.engine.interrupt import Interrupts
with Interrupts() as interrupts:
    print("ready", flush=True)
    while not interrupts.requested:
        time.sleep(0.01)
    print("noted", flush=True)
    time.sleep(60)
"""


def test_the_first_interrupt_is_noted_and_the_second_stops_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGINT)
    assert process.stdout.readline() == "noted\n"
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
