"""YAML files that a user brings, checked before anything is made of them: size, syntax, and what aliases grow to."""

from __future__ import annotations

from pathlib import Path

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult

from frostnas.errors import InputError

SETTINGS = "config.yaml"  # in a run directory: the resolved config of its last finished command
LARGEST_YAML = 2**17  # bytes; the whole config has less than 2**12
MOST_NODES, DEEPEST = 10_000, 40  # of a document, its aliases written out


def check_yaml(path: Path) -> None:
    """Whether a file can be read as YAML at all, at little cost whatever is in it.

    Raises:
        InputError: it is too large, not UTF-8, no YAML, nested too deeply, or grows too much by its aliases.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_YAML:
            raise InputError(f"{path}: {size:,} bytes; expected at most {LARGEST_YAML:,}")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text in UTF-8; expected YAML") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a YAML file") from None
    try:
        nodes = _nodes(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise InputError(f"{path}: {where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({error})") from None
    if nodes > MOST_NODES:
        raise InputError(f"{path}: has {nodes:,} values with its aliases written out; expected at most {MOST_NODES:,}")


def _nodes(text: str) -> int:
    """How many nodes a text stands for; `yaml.YAMLError` where it is nested too deeply or an alias holds itself."""
    total, sizes = 0, dict[str, int]()
    opened: list[tuple[str | None, int]] = []  # collections that are not closed yet: anchor, nodes before them
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        match event:
            case yaml.AliasEvent():
                if event.anchor not in sizes:
                    raise yaml.YAMLError(f"alias {event.anchor} stands for nothing that is complete")
                total += sizes[event.anchor]
            case yaml.ScalarEvent():
                total += 1
                if event.anchor:
                    sizes[event.anchor] = 1
            case yaml.CollectionStartEvent():
                opened.append((event.anchor, total))
                total += 1
                if len(opened) > DEEPEST:
                    raise yaml.YAMLError(f"nested more than {DEEPEST} deep")
            case yaml.CollectionEndEvent():
                anchor, before = opened.pop()
                if anchor:
                    sizes[anchor] = total - before
    return total


class UserFiles(FileConfigSource):
    """Hydra's hook for a folder of groups: every file of it is checked before Hydra reads it."""

    @staticmethod
    def scheme() -> str:
        return "user"

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path) / self._normalize_file_name(config_path)
        if path.exists():
            check_yaml(path)
        return super().load_config(config_path)


Plugins.instance().register(UserFiles)
