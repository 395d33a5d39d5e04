"""The examples that `--help` prints work as printed, one after another."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from frostnas.artifacts import LatencyTable, NetResult, TrainResult, load
from frostnas.cli import app
from tests.commands import done, write_photos
from tests.local_sshd import SSHD, running_sshd
from tests.tiny import TINY

SMALL = [
    *(word for word in TINY if not word.startswith("data.")),
    "search_block.batch_size=16",
    "search_net.batch_size=16",
    "train.batch_size=16",
    "export.min_agreement=0.5",
    "export.max_top1_drop=1",
]


def example(command: str) -> list[str]:
    """The words of a command's example."""
    registered = {one.name or one.callback.__name__.replace("_", "-"): one for one in app.registered_commands}  # type: ignore[union-attr]
    text = str(registered[command].epilog).removeprefix("Example: frostnas ")
    words = shlex.split(text)
    assert words[0] == command
    return words


@contextmanager
def a_board(folder: Path) -> Iterator[list[str]]:
    """What stands for `latency/target=ssh host=pi@board`: an sshd of our own; where there is none, this machine."""
    if SSHD is None:
        yield []
        return
    folder.mkdir()
    with running_sshd(folder) as config:
        own = [f"latency.target.ssh_config={config}", f"latency.target.python={sys.executable}"]
        yield ["latency/target=ssh", "host=frostnas-test", *own]


@pytest.mark.slow
def test_a_run_of_photos_goes_from_example_to_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images are named once and the board once; the data's size and the network's are made small besides."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", each=40)
    done(*example("search-block"), *SMALL, "data.image_size=8")
    with a_board(tmp_path / "ssh") as board:
        *profile, kind, host = example("profile-latency")
        assert (kind, host) == ("latency/target=ssh", "host=pi@board")
        done(*profile, *board, *SMALL)
        done(*example("search-net"), *SMALL)
        done("train", "run_dir=runs/photos", *SMALL)
        done(*example("export"), *SMALL)
    run = tmp_path / "runs" / "photos"
    assert load(run / "latency.json", LatencyTable).value.target == ("local" if SSHD is None else "ssh")
    assert load(run / "net.json", NetResult).value.budget_ms == 2.5
    assert load(run / "train.json", TrainResult).value.images.classes == ("blue", "green", "red")
    assert "the run's own test split" in " ".join(done(*example("evaluate"), *SMALL).split())
    done(*example("report"))
    assert (run / "report.html").is_file()


def test_the_zoo_is_counted_at_the_size_that_is_named() -> None:
    published, small = done("zoo"), done("zoo", "data.image_size=96")
    assert "224 x 224" in published and "315,344,912" in published
    assert "96 x 96" in small and "315,344,912" not in small
