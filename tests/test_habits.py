"""The files that people and tools expect of a Python project say what the project does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def test_the_licence_of_the_metadata_is_that_of_the_file() -> None:
    text = (REPOSITORY / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert (REPOSITORY / "src" / "frostnas" / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_pre_commit_runs_the_linters_of_make_check_and_fetches_nothing() -> None:
    (repo,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    checks = [
        re.sub(r"\$\(BIN\)/| (src|tests|benchmarks|examples|docs)\b", "", line).strip()
        for line in recipe[1].splitlines()
    ]
    assert checks == [hook["entry"].replace(".venv/bin/", "").replace(" --force-exclude", "") for hook in repo["hooks"]]


def test_contributing_shows_three_commands_that_the_makefile_has() -> None:
    shown = re.findall(r"^make (\S+)", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert len(shown) == 3
    assert set(shown) <= set(targets)


def test_the_citation_is_that_of_the_paper() -> None:
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["preferred-citation"]
    assert cited["url"] == "https://arxiv.org/abs/2006.09679"
    assert cited["title"] in (REPOSITORY / "README.md").read_text().replace("\n", " ")


@pytest.mark.parametrize("name", ["docker/Dockerfile", "docker/agent.Dockerfile"])
def test_an_image_copies_files_that_the_build_sees(name: str) -> None:
    seen = set(re.findall(r"^!(\S+)$", (REPOSITORY / ".dockerignore").read_text(), re.MULTILINE))
    copied = re.findall(r"^COPY (.*) \S+$", (REPOSITORY / name).read_text(), re.MULTILINE)
    for path in " ".join(copied).split():
        assert path in seen
        assert (REPOSITORY / path).exists()
