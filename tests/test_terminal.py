"""What reaches the terminal, the logs and the disk when names are strange, or a command does not come to its end."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from frostnas.artifacts import scratch, sweep, write_atomic
from frostnas.cli.failure import leave
from frostnas.config.compose import compose_config
from frostnas.config.yaml_files import check_yaml
from frostnas.engine import Workspace
from frostnas.errors import InputError
from frostnas.readable import cell, readable
from tests.terminal import COLOURS, TIMING, colour_model, photo_folder, said


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("photo [1] é 日本 😀", "photo [1] é 日本 😀"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\ttab", "two\\nlines\\ttab"),
        ("caf\udce9", "caf\\xe9"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_only_what_steers_the_terminal_or_is_no_utf_8_is_escaped(text: str, shown: str) -> None:
    assert readable(text) == shown


@pytest.mark.parametrize(("name", "shown"), [("=1+1", "'=1+1"), ("-cat", "'-cat"), ("-1.5", "-1.5"), ("a=b", "a=b")])
def test_a_cell_of_a_csv_is_never_a_formula(name: str, shown: str) -> None:
    assert cell(name) == shown


def test_a_log_takes_every_name_in_one_line(here: Path) -> None:
    with Workspace.open("run", quiet=True):
        logging.getLogger("frostnas.data").warning("skipped: %s", "caf\udce9\x1b[2J\n.png")
    assert (here / "run" / "frostnas.log").read_text("utf-8").endswith("skipped: caf\\xe9\\x1b[2J\\n.png\n")


def test_predict_shows_the_good_pictures_and_names_the_bad_one() -> None:
    photo_folder(Path("in"), count=1)
    Path("in/red/bad.png").write_text("no picture")
    end = said("predict", str(colour_model(Path("m.onnx"))), "in", "--json")
    found = json.loads(end.out)
    assert [one["classes"][0]["name"] for one in found if one["error"] is None] == list(COLOURS)
    assert end.status == 2
    assert end.err.startswith("frostnas: error: in/red/bad.png: cannot be read as an image")


def test_predict_takes_what_pillow_knows_of_a_folder_and_says_when_there_is_nothing() -> None:
    Path("in").mkdir()
    Path("in/notes.txt").write_text("no picture")
    end = said("predict", str(colour_model(Path("m.onnx"))), "in")
    assert (end.status, end.err.count("\n")) == (2, 1)
    assert "no image in the folders" in end.err


def test_evaluate_on_an_ascii_terminal_names_the_most_wrong_images_by_path() -> None:
    classes = ("[bold]b", "é", "日本")
    photo_folder(Path("in/val"), classes, count=2)
    Path("in/val/é/0.png").rename("in/val/日本/wrong.png")
    model = colour_model(Path("m.onnx"), classes)
    end = said("evaluate", str(model), "data=imagefolder", "data.root=in", *TIMING, encoding="ascii")
    assert end.status == 0, end
    wrong = end.out[end.out.index("wrong and surest") :]
    assert "wrong.png" in wrong
    assert "[bold]b" in end.out
    assert Path("m.confusion.csv").read_text("utf-8").splitlines()[0] == "true \\ named,[bold]b,é,日本"


def test_what_is_nobodys_input_is_one_line_with_the_log_of_its_traceback(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        try:
            {}["missing\nkey"]
        except KeyError as error:
            leave(error)
    assert left.value.code == 1
    said_to = capsys.readouterr().err
    assert said_to == f"frostnas: failed: KeyError: 'missing\\nkey'; traceback in {here}/state/frostnas/error.log\n"
    assert "in test_what_is_nobodys_input" in (here / "state/frostnas/error.log").read_text()


def test_the_log_of_a_run_holds_the_traceback_and_the_line_says_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        try:
            with Workspace.open("run", quiet=True):
                raise TypeError("boom")
        except TypeError as error:
            leave(error)
    assert capsys.readouterr().err.endswith("TypeError: boom; traceback in run/frostnas.log\n")
    assert "Traceback" in (here / "run/frostnas.log").read_text()


def test_a_full_disk_says_which_file_what_is_free_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        leave(OSError(errno.ENOSPC, "No space left on device", "run/train.json"))
    line = capsys.readouterr().err
    assert line.startswith("frostnas: failed: run/train.json: no space left on the disk (")
    assert line.endswith(" MiB free); the same command goes on once there is room\n")


def test_an_interrupt_that_an_import_made_another_error_of_is_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as cause:
                raise ImportError("numpy cannot be imported") from cause
        except ImportError as error:
            leave(error)
    assert left.value.code == 130
    assert "interrupted" in capsys.readouterr().err


def test_ctrl_c_during_imports_is_one_line() -> None:
    start = "import builtins, frostnas.__main__ as entry; real = builtins.__import__"
    code = f"{start}\n{WAITING}\nbuiltins.__import__ = waiting; entry.main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "frostnas: interrupted; the same command goes on from here\n")


WAITING = """
def waiting(name, *rest):
    if name == 'frostnas.cli':
        import time
        print('importing', flush=True)
        time.sleep(60)
    return real(name, *rest)
"""


def old(path: Path) -> None:
    os.utime(path, (time.time() - 60,) * 2)


def test_half_written_files_of_a_killed_process_are_swept_and_those_of_a_living_one_are_not(here: Path) -> None:
    code = """
import os, sys, time, pathlib
from frostnas.artifacts import store
os.fsync = lambda handle: (print("half", flush=True), time.sleep(60))
store.write_atomic(pathlib.Path("train.json"), b"x" * 1000)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    (left,) = here.glob(".train.json.*")
    old(left)
    sweep(here)
    assert left.exists()
    process.kill()
    process.communicate()
    with Workspace.open(here, quiet=True):
        pass
    assert not left.exists()


def test_a_scratch_folder_of_a_killed_process_is_swept_by_the_next(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    with scratch("test") as living:
        old(living.parent / "held")
        killed = here / "frostnas-scratch-test-killed"
        (killed / "work").mkdir(parents=True)
        (killed / "held").write_bytes(b"")
        old(killed / "held")
        with scratch("test"):
            assert living.exists()
            assert not killed.exists()
    assert list(here.glob("frostnas-scratch-*")) == []


def test_write_atomic_names_the_file_whatever_was_in_the_way(here: Path) -> None:
    (here / "file").write_text("")
    with pytest.raises(OSError, match=r"file/x\.json"):
        write_atomic(here / "file" / "x.json", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            "a: &a [1, 1]\n"
            + "".join(
                f"{n}: &{n} [*a, *a, *a]\n".replace("*a", f"*{p}")
                for p, n in zip("abcdefghijk", "bcdefghijkl", strict=True)
            ),
            "with its aliases written out",
        ),
        ("seed: [1", "line 1, column 9"),
        ("a: &a [*a]", "alias a stands for nothing"),
        ("[" * 1000, "nested more than"),
        ("x: " + "y" * 2**18, "bytes; expected at most"),
    ],
)
def test_yaml_is_refused_in_one_line_before_it_is_built(content: str, reason: str, here: Path) -> None:
    (here / "own.yaml").write_text(content)
    with pytest.raises(InputError, match=reason) as caught:
        check_yaml(here / "own.yaml")
    assert str(caught.value).startswith(f"{here}/own.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "root"),
    [
        ("data.root=données", "données"),
        ("data.root=a, b=[c] (d) {e", "a, b=[c] (d) {e"),
        ("data.root=0123", "0123"),
        ("data.root='in quotes'", "in quotes"),
        ("data.root=it's", "it's"),
    ],
)
def test_text_needs_no_quotes_of_hydra(word: str, root: str) -> None:
    assert compose_config([word]).data.root == root


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert compose_config(["run_dir=~/runs/é"]).run_dir == "/home/me/runs/é"


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("space.network.widths=[é", ["space.network.widths=[é: Hydra cannot read the value", "KEY='"]),
        ("seed=1,2", ["seed=1,2: several values", "-m"]),
        ("+sede=1", ["+sede=1: no such key; did you mean seed?"]),
        ("train.optim.lr=nan", ["train.optim.lr=nan: expected a finite number"]),
        ("train.micro_batches=64", ["train.micro_batches=64", "half of train.batch_size=64"]),
        ("train=null", ["train=null"]),
        ("run_dir=caf\udce9", ["not UTF-8"]),
    ],
)
def test_what_hydra_cannot_read_says_how_to_write_it(word: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        compose_config([word])
    for part in parts:
        assert part in str(caught.value)


def test_a_sweep_for_machines_leaves_standard_output_to_results_and_says_a_line_once() -> None:
    end = said("train", "-m", "seed=1,2", "run_dir=mes essais été", "net=nope", "--json")
    assert (end.status, end.out) == (2, "")
    assert end.err.count("frostnas: error:") == 1
    assert end.err.endswith("frostnas: error: net=nope: expected a net.json, its folder or a zoo name\n")
    assert Path("mes essais été/sweep/0").is_dir()
