"""The reference pages, written from the code: commands, config keys, artifacts, Python API.

`python docs/reference.py` writes them into docs/reference; `make docs` does so by itself.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import sys
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import typer

import frostnas
from frostnas import artifacts
from frostnas.cli import app
from frostnas.config import Config

sys.path.insert(0, str(Path(__file__).parent))
from artifact_examples import KINDS, example

SCALARS = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")


def write(folder: Path) -> None:
    """Write every page that has changed; Sphinx reads only those anew."""
    folder.mkdir(exist_ok=True)
    pages = {"commands": commands, "config": config, "artifacts": schemas, "api": api}
    for name, page in pages.items():
        path, text = folder / f"{name}.md", "\n".join(page()) + "\n"
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def commands() -> Iterator[str]:
    """Every command with its words and options, as its `--help` has them."""
    yield "# Commands\n"
    yield "Exit status: 0 done, 1 the work failed, 2 the input was wrong, 130 interrupted."
    group: Any = typer.main.get_command(app)  # typer may carry a click of its own
    for name, command in group.commands.items():
        yield f"\n## frostnas {name}\n\n{command.help}\n"
        yield "| word or option | |\n|---|---|"
        for one in command.params:
            names = f"`{', '.join(one.opts) if one.param_type_name == 'option' else one.metavar or one.name}`"
            yield f"| {_cell(names)} | {_cell(getattr(one, 'help', '') or '')} |"
        if command.epilog:
            yield f"\n```sh\n{command.epilog.removeprefix('Example: ')}\n```"


def config() -> Iterator[str]:
    """Every key with its type, default, limits and what it means."""
    yield "# Config keys\n"
    yield "`KEY=VALUE` on any command; `--cfg` prints what they come to. Units are in the names or the descriptions."
    yield from _group(Config, "")


def _group(kind: type, prefix: str) -> Iterator[str]:
    hints, said = typing.get_type_hints(kind), attribute_docs(kind)
    plain = [one for one in dataclasses.fields(kind) if not dataclasses.is_dataclass(hints[one.name])]
    groups = [one for one in dataclasses.fields(kind) if one not in plain]
    if plain:
        yield f"\n## {prefix.rstrip('.') or 'top level'}\n\n{_text(inspect.getdoc(kind) or '')}\n"
        yield "| key | type | default | accepted | |\n|---|---|---|---|---|"
        for one in plain:
            cells = (
                f"`{prefix}{one.name}`",
                _type(hints[one.name]),
                f"`{_default(one)}`",
                _limits(one, hints[one.name]),
            )
            yield "| " + " | ".join(map(_cell, (*cells, said.get(one.name, "")))) + " |"
    for one in groups:
        yield from _group(hints[one.name], f"{prefix}{one.name}.")


def schemas() -> Iterator[str]:
    """Every artifact with its fields and an example."""
    yield "# Artifacts\n"
    yield (
        "Each is JSON in an envelope: `kind`, `schema`, `frostnas_version`, what it was made from (`config`, `inputs`, "
        "`split`, `images`, `threads`), the digests of its `files` and its own, and `data`, which is shown here. "
        "`frostnas.load(path, kind)` reads one; a file of another schema is refused. The examples were written by "
        "small runs, most of them of a few seconds on a few coloured squares, and shortened: lists go on."
    )
    for name in KINDS:
        kind = getattr(artifacts, name)
        said = f"{_text(inspect.getdoc(kind) or '')} Schema {kind.SCHEMA}; `frostnas.artifacts.{name}`."
        yield f"\n## {kind.KIND}.json\n\n{said}\n"
        yield from _fields(kind)
        text = msgspec.json.format(msgspec.json.encode(example(kind)), indent=2).decode()
        shown = SCALARS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
        yield f"\n```json\n{shown}\n```"


def _fields(kind: type) -> Iterator[str]:
    hints, said = typing.get_type_hints(kind), attribute_docs(kind)
    yield "| field | type | |\n|---|---|---|"
    for one in dataclasses.fields(kind):
        yield "| " + " | ".join(map(_cell, (f"`{one.name}`", _type(hints[one.name]), said.get(one.name, "")))) + " |"


def api() -> Iterator[str]:
    """Every public name with its signature and docstring."""
    yield "# Python API\n"
    yield "`import frostnas` brings these names and imports torch only with those that need it."
    for name in frostnas.__all__:
        if name.startswith("_"):
            continue
        value = getattr(frostnas, name)
        yield f"\n## {name}\n"
        with_signature = inspect.isfunction(value) or (inspect.isclass(value) and not issubclass(value, Exception))
        if with_signature:
            yield f"```python\n{name}{inspect.signature(value)}\n```\n"
        yield f"```text\n{inspect.getdoc(value)}\n```"


def attribute_docs(kind: type) -> dict[str, str]:
    """The strings below a dataclass's fields."""
    (body,) = ast.parse(inspect.cleandoc(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(said, str):
            found[before.target.id] = _text(said)
    return found


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    value = value.value if isinstance(value, Enum) else value
    return json.dumps(value) if not isinstance(value, str) else value or '""'


def _limits(field: dataclasses.Field[Any], kind: Any) -> str:
    low, high, accepted = (field.metadata.get(name) for name in ("low", "high", "accepted"))
    if accepted:
        return ", ".join(f"`{one}`" for one in accepted)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{one.name}`" for one in kind)
    if None not in (low, high):
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""


def _type(kind: Any) -> str:
    text = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
    return text.replace("typing.", "").replace("frostnas.artifacts.", "").replace("NoneType", "None")


def _text(docstring: str) -> str:
    return " ".join(docstring.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write(Path(__file__).parent / "reference")
