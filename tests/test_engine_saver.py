"""Checkpoints: what is damaged is never used, and a run goes on from the newest one that is whole."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from frostnas.engine import Saver, Workspace, rng_state

STATES = [{"step": number, "weights": torch.arange(3.0) + number} for number in range(3)]


def workspace(folder: Path, checkpoint_s: float = 20.0) -> Workspace:
    return Workspace(folder, None, logging.getLogger("frostnas"), checkpoint_s=checkpoint_s)


def written(folder: Path) -> Saver:
    """A checkpoint of every state, one after the other."""
    saver = Saver(workspace(folder), "work.pt", "a run")
    for state in STATES:
        saver.save(lambda state=state: state)
    return saver


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swollen(path: Path) -> None:
    """By more than any memory holds; on disk it takes no room."""
    with path.open("r+b") as file:
        file.truncate(2**42)


def plain(path: Path) -> None:
    torch.save({"identity": "a run", "done": {}, "live": STATES[0], "seconds": 0.0}, path)


def test_a_run_goes_on_from_its_newest_checkpoint(tmp_path: Path) -> None:
    written(tmp_path)
    live = Saver(workspace(tmp_path), "work.pt", "a run").live
    assert live["step"] == 2 and torch.equal(live["weights"], STATES[2]["weights"])
    assert Saver(workspace(tmp_path), "work.pt", "another run").live is None


@pytest.mark.parametrize("damage", [flip, cut, empty, swollen, plain])
def test_a_damaged_checkpoint_is_named_kept_aside_and_the_one_before_it_used(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path).path
    damage(path)
    broken = path.stat()
    with caplog.at_level(logging.INFO, "frostnas"):
        saver = Saver(workspace(tmp_path), "work.pt", "a run")
    assert saver.live["step"] == 1
    assert f"warning: {path}: is damaged" in caplog.text
    aside = path.with_name("work.pt.damaged").stat()
    assert (aside.st_ino, aside.st_size, aside.st_mtime_ns) == (broken.st_ino, broken.st_size, broken.st_mtime_ns)
    saver.save(lambda: STATES[2])
    assert Saver(workspace(tmp_path), "work.pt", "a run").live["step"] == 2


def test_rows_of_metrics_are_those_of_the_checkpoint_whatever_happened_to_their_file(tmp_path: Path) -> None:
    first = Saver(workspace(tmp_path), "work.pt", "a run")
    metrics = first.metrics("train")
    metrics.row(epoch=1, phase="qat, first", loss=0.1)
    first.save(lambda: STATES[0])
    kept = metrics.path.read_bytes()
    metrics.row(epoch=2, phase="qat", loss=0.2)  # of work that is lost
    metrics.path.write_bytes(kept.replace(b"0.1", b"0.7"))
    second = Saver(workspace(tmp_path), "work.pt", "a run")
    second.save(lambda: STATES[1])  # before the metrics are written on
    third = Saver(workspace(tmp_path), "work.pt", "a run").metrics("train")
    assert third.path.read_bytes() == kept
    third.row(epoch=2, phase="qat", loss=0.3)
    assert third.path.read_bytes() == kept + b"2,qat,0.3\n"


def test_with_both_generations_damaged_it_starts_anew(tmp_path: Path) -> None:
    path = written(tmp_path).path
    flip(path)
    flip(path.with_name("work.pt.former"))
    assert Saver(workspace(tmp_path), "work.pt", "a run").live is None


def test_killed_between_two_files_it_goes_on_from_the_former(tmp_path: Path) -> None:
    path = written(tmp_path).path
    path.replace(path.with_name("work.pt.former"))
    assert Saver(workspace(tmp_path), "work.pt", "a run").live["step"] == 2


def test_a_process_that_does_not_write_leaves_a_damaged_file_where_it_is(tmp_path: Path) -> None:
    path = written(tmp_path).path
    flip(path)
    reader = Workspace(tmp_path, None, logging.getLogger("frostnas"), writes=False)
    assert Saver(reader, "work.pt", "a run").live["step"] == 1
    assert path.is_file()


def test_finished_work_is_not_done_twice_and_ends_what_was_going_on(tmp_path: Path) -> None:
    saver = Saver(workspace(tmp_path, 0.0), "work.pt", "a run")
    saver.after_step(lambda: "half")
    assert saver.once("part", lambda: 1, part=True) == 1
    assert Saver(workspace(tmp_path), "work.pt", "a run").live == "half"
    saver.once("all", lambda: 2)
    again = Saver(workspace(tmp_path), "work.pt", "a run")
    assert again.live is None
    assert again.once("all", lambda: pytest.fail("done again")) == 2


def test_seconds_add_up_over_interruptions(tmp_path: Path) -> None:
    saver = Saver(workspace(tmp_path), "work.pt", "a run")
    before = saver.seconds
    saver.save(lambda: None)
    assert Saver(workspace(tmp_path), "work.pt", "a run").seconds > before > 0


def test_every_generator_is_in_a_checkpoint(tmp_path: Path) -> None:
    saver, state = Saver(workspace(tmp_path), "work.pt", "a run"), rng_state()
    saver.save(lambda: state)
    stored = Saver(workspace(tmp_path), "work.pt", "a run").live
    assert stored["python"] == state["python"]
    assert torch.equal(stored["torch"], state["torch"])


def test_an_interrupt_saves_first(tmp_path: Path) -> None:
    with Saver(workspace(tmp_path), "work.pt", "a run") as saver:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            saver.after_step(lambda: "where it was")
    assert Saver(workspace(tmp_path), "work.pt", "a run").live == "where it was"
