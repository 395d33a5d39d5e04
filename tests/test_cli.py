"""The command line's grammar, its exit statuses and what it says."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from frostnas import __version__
from frostnas.cli.completion import complete_override
from tests.terminal import said

COMMANDS = [
    "search-block", "profile-latency", "search-net", "train", "ladder", "export", "evaluate", "report", "status",
    "doctor", "zoo", "run",
]  # fmt: skip
FROSTNAS = [sys.executable, "-W", "error", "-c", "from frostnas.cli import main; main()"]


def frostnas(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FROSTNAS, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def test_version(tmp_path: Path) -> None:
    assert frostnas("--version", cwd=tmp_path).stdout == f"frostnas {__version__}\n"


def test_help_does_not_import_torch() -> None:
    code = """
import sys
from typer.testing import CliRunner
from frostnas.cli import app
result = CliRunner().invoke(app, ["--help"])
assert result.exit_code == 0, result.output
print(sorted({"torch", "hydra", "pandas", "onnxruntime", "numpy"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    from typer.testing import CliRunner

    from frostnas.cli import app

    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: frostnas {command}" in " ".join(result.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_cfg_prints_the_resolved_config_and_does_nothing(command: str, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        done = said(command, "seed=5", "--cfg")
    assert done.status == 0, done.err
    assert "seed: 5" in done.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train", "--nope"], "--nope"),
        (["nope"], "nope"),
        (["train", "sede=1"], "did you mean seed?"),
        (["train", "word"], "word: expected KEY=VALUE"),
        (["train", "seed=-1"], "seed=-1: expected 0 to"),
        (["run", "--config-dir", "absent"], "--config-dir absent: no such folder"),
        (["export", "run_dir=absent"], "train.json"),
        (["evaluate", "absent.onnx"], "absent.onnx: no such file"),
        (["report", "absent"], "absent: holds no artifact of a run; expected block.json"),
        (["search-net", "run_dir=absent"], "latency.json"),
        (["search-net", "block=nope", "run_dir=absent"], "block=nope"),
        (["train", "net=nope", "run_dir=absent"], "net=nope"),
        (["profile-latency", "latency/target=ssh", "host='-oProxyCommand=x'", "run_dir=x"], "expected a host"),
        (["profile-latency", "host=board", "run_dir=x"], "host=board: expected latency/target=ssh"),
        (["profile-latency", "import", "run_dir=x"], "import: expected the results.json"),
        (["train", "data=imagefolder", "data.root=absent", "run_dir=x"], "data.root"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(words: list[str], named: str, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        done = said(*words)
    assert done.status == 2, done.err
    assert named in done.err
    assert "Traceback" not in done.err
    if done.err.startswith("frostnas: error"):
        assert done.err.count("\n") == 1


def test_a_truncated_artifact_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "block.json").write_text('{"kind": "block"')
    with contextlib.chdir(tmp_path):
        done = said("search-net", "run_dir=r")
    assert done.status == 2
    assert "r/block.json: not a frostnas block artifact" in done.err
    assert (tmp_path / "r" / "block.json").read_text() == '{"kind": "block"'


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("da", ["data.augment.flip=", "data=", "data.root="]),
        ("data=ci", ["data=cifar10", "data=cifar100"]),
        ("search_net=", ["search_net=evolution", "search_net=random"]),
        ("device=", ["device=auto", "device=cpu", "device=cuda"]),
        ("data.download=", ["data.download=true", "data.download=false"]),
    ],
)
def test_completion_offers_groups_keys_and_choices(typed: str, offered: list[str]) -> None:
    assert set(offered) <= set(complete_override(typed))
