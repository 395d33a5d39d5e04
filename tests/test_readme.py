"""The README's tree is the tree. `python -m tests.test_readme` writes it anew from the modules' docstrings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
PACKAGE = REPOSITORY / "src" / "frostnas"
ORDER = (
    "cli", "pipeline", "report", "search", "training", "evaluation", "latency", "deploy", "engine", "data", "nets",
    "quant", "artifacts", "config",
)  # fmt: skip
BLOCK = re.compile(r"(?<=## The tree\n\n```text\n).*?(?=\n```)", re.DOTALL)


def summary(path: Path) -> str:
    """First sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return re.split(r"\.(?:\s|$)|:\s*\n", " ".join(text.split("\n\n")[0].split()))[0]


def tree() -> str:
    """Every folder and file of the package, from top to bottom of the import order."""
    top = [path for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"]
    lines = ["src/frostnas/"]
    for folder in ORDER:
        lines += _folder(PACKAGE / folder, 1)
    return "\n".join(lines + [_line(path, 1) for path in top])


def _folder(folder: Path, depth: int) -> list[str]:
    lines = [f"{'  ' * depth}{folder.name + '/':<{26 - 2 * depth}}{summary(folder / '__init__.py')}".rstrip()]
    for path in sorted(folder.iterdir()):
        if path.is_dir() and (path / "__init__.py").exists():
            lines += _folder(path, depth + 1)
        elif path.suffix == ".py" and path.name != "__init__.py":
            lines.append(_line(path, depth + 1))
    return lines


def _line(path: Path, depth: int) -> str:
    return f"{'  ' * depth}{path.name:<{26 - 2 * depth}}{summary(path)}"


def test_the_tree_in_the_readme_is_the_tree() -> None:
    found = BLOCK.search(README.read_text())
    assert found is not None and found.group() == tree()


def test_every_module_says_what_it_is_for() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert summary(path), path


if __name__ == "__main__":
    README.write_text(BLOCK.sub(lambda _: tree(), README.read_text()))
