"""The examples of artifacts in the reference: taken from finished runs, shortened, and read as what they are.

`python docs/artifact_examples.py RUN_DIR...` takes every artifact that the folders hold into docs/examples.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from frostnas import artifacts

FOLDER = Path(__file__).parent / "examples"
KINDS = (
    "BlockResult",
    "LatencyTable",
    "NetResult",
    "TrainResult",
    "ExportReport",
    "Inspection",
    "LadderResult",
    "FittedSpace",
    "ChosenSizes",
    "Plan",
)
SHOWN, NUMBERS, LETTERS = 2, 6, 160  # entries of a list of values and of numbers, characters of a text
WHOLE = ("classes", "candidates", "probabilities", "factors")  # lists that belong to others of their length


def example(kind: Any) -> Any:
    """The stored example of an artifact, as its type reads it: a field that is new or gone is an error."""
    return msgspec.json.decode((FOLDER / f"{kind.KIND}.json").read_bytes(), type=kind, strict=True)


def take(folder: Path) -> None:
    """Store what a run directory holds."""
    FOLDER.mkdir(exist_ok=True)
    for name in KINDS:
        kind = getattr(artifacts, name)
        path = folder / f"{kind.KIND}.json"
        if path.is_file():
            data = _shortened(json.loads(path.read_text())["data"])
            value = msgspec.json.decode(json.dumps(data), type=kind)
            text = msgspec.json.format(msgspec.json.encode(value), indent=1)
            (FOLDER / path.name).write_bytes(text + b"\n")


def _shortened(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _shortened(item, key) for key, item in value.items()}
    if isinstance(value, list):
        most = SHOWN if value and isinstance(value[0], dict) else len(value) if name in WHOLE else NUMBERS
        return [_shortened(item, name) for item in value[:most]]
    return value[:LETTERS] if isinstance(value, str) else value


if __name__ == "__main__":
    for run in sys.argv[1:]:
        take(Path(run))
