"""The documentation is built without a warning, and its reference holds every key, command and public name."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import frostnas
from frostnas.config import Config
from tests.pages import DOCS, load_script


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    load_script("docs/reference.py").write(folder)
    return folder


def keys(config: object, prefix: str = "") -> list[str]:
    found = []
    for one in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, one.name)
        found += keys(value, f"{prefix}{one.name}.") if dataclasses.is_dataclass(value) else [f"{prefix}{one.name}"]
    return found


def test_every_config_key_is_in_the_reference(pages: Path) -> None:
    text = (pages / "config.md").read_text()
    assert [key for key in keys(Config()) if f"| `{key}` |" not in text] == []


def test_every_public_name_is_in_the_reference(pages: Path) -> None:
    text = (pages / "api.md").read_text()
    assert [name for name in frostnas.__all__ if not name.startswith("_") and f"## {name}\n" not in text] == []


def test_every_artifact_has_an_example(pages: Path) -> None:
    sections = (pages / "artifacts.md").read_text().split("\n## ")[1:]
    assert len(sections) == 10
    assert all("```json" in one for one in sections)
    assert '"top1_fake_quant"' in sections[4]


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference" / "config.html").is_file()
