"""Every command that README and docs show is one: it parses, its settings compose, its scripts and targets are there.

Here nothing is run; test_docs_commands_run does that, and the pages' own tests do.
"""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
import typer

from frostnas.cli import app
from frostnas.config.compose import check_sweep, compose_config
from tests.pages import DOCS, FENCE, REPOSITORY

PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))]
COMPOSED_ELSEWHERE = "docs/folder-to-model.md"  # test_docs_folder composes and runs what it shows
SHELL = {"cd", "cp", "echo", "mkdir", "sudo", "tee", "ssh", "ssh-copy-id", "scp", "python3", "tensorboard"}
GROUP: Any = typer.main.get_command(app)  # typer may carry a click of its own


@dataclass(frozen=True)
class Shown:
    """One command of a page."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def shown() -> Iterator[Shown]:
    """The commands of all shell blocks, without comments, loops and what is piped or chained."""
    for page in PAGES:
        for language, _, text in FENCE.findall((REPOSITORY / page).read_text()):
            lines = text.replace("\\\n", " ").splitlines() if language == "sh" else ()
            for line in lines:
                words = shlex.split(line, comments=True)
                yield from (Shown(page, tuple(one)) for one in _chained(words) if one)


def _chained(words: list[str]) -> Iterator[list[str]]:
    if words[:1] == ["for"]:  # for NAME in ...; do COMMAND; done
        words = words[words.index("do") + 1 : words.index("done")]
    rest: list[str] = []
    for word in words:
        if word in ("&&", "|"):
            yield rest
            rest = []
        else:
            rest.append(word.removesuffix(";"))
    yield rest


COMMANDS = list(dict.fromkeys(shown()))
OURS = [
    Shown(one.page, one.words[one.words.index("frostnas") :])
    for one in COMMANDS
    if one.words[0] in ("frostnas", "torchrun")
]


def test_there_are_commands() -> None:
    assert len(OURS) > 30


def parsed(one: Shown) -> dict[str, Any]:
    """The command's parameters, of which the callback is not called."""
    _, name, *words = one.words
    params: dict[str, Any] = GROUP.commands[name].make_context(name, words).params
    return params


def test_every_shown_command_parses() -> None:
    for one in OURS:
        assert parsed(one), one


@pytest.mark.slow  # half a second each
@pytest.mark.parametrize(
    "one", [one for one in OURS if one.page != COMPOSED_ELSEWHERE and one.words[1] != "predict"], ids=str
)
def test_the_settings_of_a_shown_command_compose(one: Shown) -> None:
    params = parsed(one)
    settings = [word for word in params["overrides"] or [] if "=" in word]
    (check_sweep if params.get("multirun") else compose_config)(settings)


def test_what_else_is_shown_is_there() -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    saved = {name for page in PAGES for _, name, _ in FENCE.findall((REPOSITORY / page).read_text()) if name}
    for one in COMMANDS:
        program, *words = one.words
        if program == "make":
            assert words[0] in targets, one
        elif program == "python":
            assert words[0] in saved or (REPOSITORY / words[0]).is_file(), one
        elif program not in ("frostnas", "torchrun", "pip", "git"):
            assert program in SHELL or program.startswith("frostnas-python/"), one


def test_every_extra_that_a_page_installs_is_one() -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for page in PAGES for extra in re.findall(r"frostnas\[(\w+)\]", (REPOSITORY / page).read_text())}
    assert named and named <= extras.keys()


def test_python_that_a_page_shows_imports_what_there_is() -> None:
    for page in PAGES:
        for language, _, text in FENCE.findall((REPOSITORY / page).read_text()):
            for node in ast.walk(ast.parse(text)) if language == "python" else ():
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("frostnas"):
                    module = import_module(str(node.module))
                    assert [one.name for one in node.names if not hasattr(module, one.name)] == [], page
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "frostnas":
                    assert hasattr(import_module("frostnas"), node.attr), f"{page}: frostnas.{node.attr}"
