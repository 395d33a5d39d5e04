"""`frostnas status` reads a run directory as a person would: what is done, running, stopped and next."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from frostnas.cli.status import STEPS, StepStatus, duration, status
from frostnas.config import Config, ParentConfig
from frostnas.config.compose import to_yaml
from frostnas.errors import InputError

START = "2026-01-01 10:00:00,000 INFO frostnas: train: started"


def run_dir(folder: Path, *log: str, done: int = 3, epochs: int = 0) -> Path:
    """A run whose first ``done`` stages are done, and whose training has ended ``epochs`` epochs."""
    for step in [step for step in STEPS if step.asked][:done]:
        (folder / step.artifact).write_text("{}")
    (folder / "config.yaml").write_text(to_yaml(Config()))
    (folder / "frostnas.log").write_text("\n".join(log) + "\n")
    (folder / "metrics").mkdir()
    (folder / "metrics" / "train.csv").write_text("\n".join(["epoch,lr", *(f"{n + 1},0.1" for n in range(epochs))]))
    return folder


def look(folder: Path) -> dict[str, StepStatus]:
    return {one.command: one for one in status(Config(), folder).data}


def test_its_stages_are_those_of_the_chain() -> None:
    from frostnas.pipeline import CHAIN

    own = [(step.command, step.artifact) for step in STEPS if step.asked]
    assert own == [(stage.name, stage.artifact) for stage in CHAIN]


def test_between_two_stages_the_next_one_is_named_with_its_command(tmp_path: Path) -> None:
    found = look(run_dir(tmp_path))
    assert [one.state for one in found.values()] == ["done", "done", "done", "next", "later"]
    assert found["train"].said == f"frostnas train run_dir={tmp_path}"


def test_a_parent_that_is_trained_within_a_search_is_shown_once_that_has_begun(tmp_path: Path) -> None:
    starts = [START.replace("train", name) for name in ("search-net", "train-parent")]
    folder = run_dir(tmp_path, *starts, done=2)
    with FileLock(folder / ".lock"):
        assert look(folder)["train-parent"].state == "running"
        (folder / "parent" / "metrics").mkdir(parents=True)
        (folder / "parent" / "metrics" / "train.csv").write_text("epoch,lr\n1,0.1\n2,0.1\n")
        (folder / "config.yaml").write_text(to_yaml(Config(parent=ParentConfig(epochs=9))))
        parent = look(folder)["train-parent"]
        assert parent.epochs == "2 of 9" and parent.seconds_left is not None
    (folder / "parent" / "train.json").write_text("{}")
    (folder / "frostnas.log").write_text("")
    assert [one.state for one in look(folder).values()] == ["done", "done", "done", "next", "later", "later"]


def test_what_is_not_done_when_a_later_stage_has_begun_is_not_to_come(tmp_path: Path) -> None:
    found = look(run_dir(tmp_path, START.replace("train", "search-net"), done=1))
    assert [(name, one.state) for name, one in found.items()][:2] == [
        ("search-block", "done"),
        ("search-net", "stopped"),
    ]


def test_what_the_config_gives_is_not_to_come(tmp_path: Path) -> None:
    folder = run_dir(tmp_path, done=0)
    (folder / "frostnas.log").write_text("")
    (folder / "config.yaml").write_text(to_yaml(Config(parent=ParentConfig(net="runs/one"), table="latency.json")))
    assert [(name, one.state) for name, one in look(folder).items()] == [
        ("search-net", "next"),
        ("train", "later"),
        ("export", "later"),
    ]
    (folder / "config.yaml").write_text(to_yaml(Config(net="runs/one/front/2")))
    assert list(look(folder)) == ["train", "export"]
    (folder / "latency.json").write_text("{}")  # of an earlier command
    assert look(folder)["profile-latency"].state == "done"


def test_a_stage_under_way_counts_its_epochs_and_says_how_long_it_may_take(tmp_path: Path) -> None:
    folder = run_dir(tmp_path, START, epochs=10)
    with FileLock(folder / ".lock"):
        train = look(folder)["train"]
    assert (train.state, train.epochs, train.started) == ("running", "10 of 50", "2026-01-01 10:00:00")
    assert train.seconds_left is not None


def test_after_an_interruption_no_time_is_guessed(tmp_path: Path) -> None:
    folder = run_dir(tmp_path, START, START, epochs=10)
    with FileLock(folder / ".lock"):
        assert look(folder)["train"].seconds_left is None


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("2026-01-01 10:05:00,000 ERROR frostnas: stopped by KeyboardInterrupt: ", "interrupted"),
        ("2026-01-01 10:05:00,000 ERROR frostnas: stopped by RangeError: not finite", "RangeError: not finite"),
        ("", "without a word"),
    ],
)
def test_a_stage_that_was_stopped_says_by_what(tmp_path: Path, last: str, said: str) -> None:
    train = look(run_dir(tmp_path, START, last))["train"]
    assert train.state == "stopped"
    assert said in train.said


def test_a_stage_that_is_done_anew_is_not_done(tmp_path: Path) -> None:
    assert look(run_dir(tmp_path, START, done=5))["train"].state == "stopped"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run directory"):
        status(Config(), tmp_path)


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, ""), (20, "about 20 s"), (600, "about 10 min"), (9000, "about 2.5 h")]
)
def test_durations_are_said_as_a_person_would(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe", b"epoch,lr\nsoon,0.1\n", b"epoch,lr\n1\n", b"lr\n0.1\n", b"x" * 200_000]
)
def test_metrics_that_are_damaged_are_named_in_one_line(tmp_path: Path, damage: bytes) -> None:
    path = run_dir(tmp_path, START) / "metrics" / "train.csv"
    path.write_bytes(damage)
    with pytest.raises(InputError, match=r"metrics/train\.csv: .*remove it to go without$") as caught:
        look(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
