"""Artifacts on disk: typed JSON in an envelope that says where it came from, written atomically."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from frostnas.artifacts.results import ImageFormat, SplitRecord
from frostnas.artifacts.scratch import abandoned, hold
from frostnas.errors import InputError
from frostnas.version import __version__

WRITERS = {
    **{"block": "search-block", "latency": "profile-latency", "net": "search-net"},
    **{"inspection": "export", "plan": "run", "space": "run"},
}
"""Which command writes an artifact; the others are called like theirs."""
UNFINISHED = ".part"  # how the name of a file ends that is being written


class Artifact(Protocol):
    """A dataclass that can be stored: `KIND` names the stage's result, `SCHEMA` changes with its fields."""

    KIND: ClassVar[str]
    SCHEMA: ClassVar[int]


MOST_BYTES = 2**26
"""Of an artifact or a table; the indices of a million test images take 8 MB."""
T = TypeVar("T", bound=Artifact)
Checked = TypeVar("Checked")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an artifact was made from."""

    config: dict[str, Any] = field(default_factory=dict)
    """The part of the resolved config that the stage reads."""
    inputs: dict[str, str] = field(default_factory=dict)
    """SHA-256 of every input: of a file's bytes, or of a spec's canonical JSON."""
    split: SplitRecord | None = None
    """The images, where it was made from any."""
    images: ImageFormat | None = None
    """How they were seen."""
    threads: int | None = None
    """That torch computed on: another number sums in another order, so that other last bits come out."""

    @property
    def config_sha256(self) -> str:
        return sha256_of_value(self.config)


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """An artifact as it was read: the value and its provenance."""

    value: T
    provenance: Provenance
    files: dict[str, str]
    """SHA-256 of every file that belongs to it, by its path from the artifact's folder."""


@dataclass(frozen=True, slots=True)
class _Envelope:
    kind: str
    schema: int
    frostnas_version: str
    config_sha256: str
    config: dict[str, Any]
    inputs: dict[str, str]
    data: Any
    split: SplitRecord | None = None
    images: ImageFormat | None = None
    threads: int | None = None
    files: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    """Of all the rest, so that damage is told from a result."""


def bytes_of(path: Path) -> bytes:
    """A file of at most `MOST_BYTES`.

    Raises:
        InputError: it is larger.
        OSError: it cannot be read.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise InputError(f"{path}: {size:,} bytes; expected at most {MOST_BYTES:,}")
    return path.read_bytes()


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_value(value: object) -> str:
    """Hex SHA-256 of a value's canonical JSON (sorted keys)."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def write_atomic(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step, so that a reader or a crash never sees half of it.

    Raises:
        OSError: with ``path`` in it, whatever was in the way.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                hold(file.fileno())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o644)
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left half-written in ``folder``; what is being written stays."""
    for path in folder.glob(f".*{UNFINISHED}"):
        if abandoned(path):
            path.unlink(missing_ok=True)


def save(path: Path, value: Artifact, provenance: Provenance, files: dict[str, str] | None = None) -> None:
    """Write an artifact as indented JSON.

    Args:
        files: SHA-256 of the files that belong to it, by their paths from its folder.
    """
    envelope = _Envelope(
        value.KIND,
        value.SCHEMA,
        __version__,
        provenance.config_sha256,
        provenance.config,
        provenance.inputs,
        value,
        provenance.split,
        provenance.images,
        provenance.threads,
        files or {},
    )
    envelope = replace(envelope, sha256=digest_of(msgspec.json.encode(envelope)) or "")
    write_atomic(path, msgspec.json.format(msgspec.json.encode(envelope), indent=2) + b"\n")


def digest_of(content: bytes) -> str | None:
    """What stands in an artifact's file as `sha256`; None where the file holds what cannot have been written there."""
    try:
        plain = msgspec.json.decode(content)
        return sha256_of_value({name: value for name, value in plain.items() if name != "sha256"})
    except (OverflowError, RecursionError):  # of numbers past 64 bits
        return None


def load(path: str | Path, kind: type[T]) -> Stored[T]:
    """Read an artifact of type ``kind``.

    Raises:
        InputError: the file is missing, not JSON, another artifact, another schema, holds a value outside the limits of
            its type, or was changed after it was written.
    """
    path = Path(path)
    try:
        content = bytes_of(path)
        envelope = msgspec.json.decode(content, type=_Envelope)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `frostnas {WRITERS.get(kind.KIND, kind.KIND)}` writes it") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise InputError(f"{path}: not a frostnas {kind.KIND} artifact ({error})") from None
    if envelope.kind != kind.KIND:
        raise InputError(f"{path}: is a {envelope.kind} artifact; expected {kind.KIND}")
    if envelope.schema != kind.SCHEMA:
        raise InputError(
            f"{path}: has schema {envelope.schema} (frostnas {envelope.frostnas_version}); "
            f"this frostnas {__version__} reads {kind.KIND} schema {kind.SCHEMA}"
        )
    value = checked(path, envelope.data, kind)
    if digest_of(content) != envelope.sha256:
        raise InputError(f"{path}: was changed after it was written; make it again")
    made = Provenance(envelope.config, envelope.inputs, envelope.split, envelope.images, envelope.threads)
    return Stored(value, made, envelope.files)


def checked(path: str | Path, data: Any, kind: type[Checked], *, strict: bool = True) -> Checked:
    """``data`` of a file as a ``kind`` whose fields state their limits.

    Args:
        strict: false where numbers are words, as in CSV.

    Raises:
        InputError: a value does not fit its type, with the file, the field, the value and what is accepted.
    """
    try:
        return msgspec.convert(data, kind, strict=strict)
    except msgspec.ValidationError as error:
        wrong, _, place = str(error).partition(" - at `$")
        key = place.rstrip("`").lstrip(".")
        said = f"{key}{_value_at(data, key)}: {wrong[:1].lower()}{wrong[1:]}" if key else wrong
        raise InputError(f"{path}: {said:.400}") from None
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply") from None


def _value_at(data: Any, key: str) -> str:
    """`=value` of a plain value at a place in msgspec's words; nothing of one that it does not name in full."""
    for step in re.findall(r"[^.\[\]]+", key):
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list | tuple) and step.isdecimal() and int(step) < len(data):
            data = data[int(step)]
        else:
            return ""
    return f"={data!s:.40}" if isinstance(data, int | float | str) else ""


def damage(folder: Path, files: Mapping[str, str]) -> list[str]:
    """What is wrong with the files of an artifact in ``folder``, a sentence each."""
    found = []
    for name, digest in files.items():
        if not (folder / name).is_file():
            found.append(f"{name} is gone")
        elif sha256_of(folder / name) != digest:
            found.append(f"{name} is not the file that was written")
    return found
