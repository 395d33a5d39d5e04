"""The installed wheel works far from the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `frostnas` script of a fresh environment with the wheel; the dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(REPOSITORY)]
    subprocess.run([*pip, *wheel], check=True)
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    found = next(folder.glob("*.whl"))
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(found)], check=True)
    site = next((folder / "env" / "lib").glob("*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.with_name("frostnas")


def run(script: Path, folder: Path, *words: str) -> str:
    done = subprocess.run([script, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_finds_its_own_conf_from_an_empty_folder(script: Path, tmp_path: Path) -> None:
    assert "run_dir: runs/digits" in run(script, tmp_path, "run", "--cfg")
    where = "import frostnas.config.groups as g; print(g.conf_dir())"
    python = script.with_name("python")
    conf = subprocess.run([python, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert Path(conf.strip()).parent.name == "frostnas"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_wheel_lists_the_zoo(script: Path, tmp_path: Path) -> None:
    rows = json.loads(run(script, tmp_path, "zoo", "--json"))
    assert {"name", "family", "width", "params", "macs"} <= rows[0].keys()
