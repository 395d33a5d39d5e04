"""What can happen to a file on disk: by accident, and by intent."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from frostnas.artifacts.store import digest_of

Change = Callable[[Path, Path], None]
"""Damages the file at the first path; the second is a file of the same name from another run."""
DEEP = 200_000


def _written(change: Callable[[bytes], bytes]) -> Change:
    def apply(path: Path, other: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return apply


def _flipped(bits: int, seed: int) -> Change:
    def change(content: bytes) -> bytes:
        rng, found = random.Random(seed), bytearray(content)
        for _ in range(bits):
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
        return bytes(found)

    return _written(change)


def _garbage(seed: int) -> Change:
    return _written(lambda content: random.Random(seed).randbytes(len(content)))


def _holed(content: bytes) -> bytes:
    """With a part that a file system lost."""
    start, end = len(content) // 3, 2 * len(content) // 3
    return content[:start] + bytes(end - start) + content[end:]


def _swapped(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def _folder(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()


def _huge(path: Path, other: Path) -> None:
    """3 GB of nothing behind the content; on disk it takes no room."""
    with path.open("r+b") as file:
        file.truncate(3 * 2**30)


ACCIDENTS: dict[str, Change] = {
    "empty": _written(lambda content: b""),
    "cut-to-a-quarter": _written(lambda content: content[: len(content) // 4]),
    "cut-to-half": _written(lambda content: content[: len(content) // 2]),
    "cut-to-nine-tenths": _written(lambda content: content[: 9 * len(content) // 10]),
    "cut-by-two-bytes": _written(lambda content: content[:-2]),
    "one-bit-1": _flipped(1, 1),
    "one-bit-2": _flipped(1, 2),
    "one-bit-3": _flipped(1, 3),
    "two-bits": _flipped(2, 4),
    "many-bits": _flipped(32, 5),
    "garbage": _garbage(6),
    "hole": _written(_holed),
    "twice": _written(lambda content: content + content),
    "deep": _written(lambda content: b"[" * DEEP),
    "of-another-run": _swapped,
    "folder": _folder,
    "huge": _huge,
}
"""Name -> damage that anything may do to a file."""

VALUES: tuple[Any, ...] = (
    None,
    "text",
    "",
    "x" * 1_000_000,
    "\x1b[31mred\x1b[0m [bold]",
    "squeeze_999999999999",
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**30,
    0.5,
    1e308,
    -1e308,
    1e-320,
    [],
    [[]] * 1000,
    {},
    {"": None},
)
"""What takes the place of a value in a file whose digest is made to fit."""


def leaves(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Places of everything inside ``value``; of a list the first and the last element."""
    if place:
        yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*place, key))
    elif isinstance(value, list) and value:
        for at in sorted({0, len(value) - 1}):
            yield from leaves(value[at], (*place, at))


def put(value: Any, place: tuple[str | int, ...], new: Any) -> None:
    """Set what is at ``place`` inside ``value``."""
    for step in place[:-1]:
        value = value[step]
    value[place[-1]] = new


def resealed(path: Path, change: Callable[[Any], None]) -> None:
    """Change the data of an artifact and give it the digest of what it holds now, as who edits on purpose would."""
    rewritten(path, lambda content: change(content["data"]))


def rewritten(path: Path, change: Callable[[Any], None]) -> None:
    """The same of the whole artifact, with what it says of its origin."""
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content | {"sha256": digest_of(json.dumps(content).encode()) or ""}))
