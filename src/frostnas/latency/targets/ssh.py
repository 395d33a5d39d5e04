"""The target `ssh`: the agent on another machine, reached with the system's own ssh."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from frostnas.artifacts import sha256_of, write_atomic
from frostnas.config import LatencyConfig
from frostnas.errors import InputError
from frostnas.latency.job import JOURNAL, MANIFEST, RESULTS, MeasuringError
from frostnas.latency.targets import preflight
from frostnas.latency.targets.connection import DROPPED, Connection, Dropped
from frostnas.latency.targets.follow import AGENT, AgentFailed, OnRound, Say, follow

BATCH_BYTES = 8 << 20  # of models, copied in one go
WAITS_S = (1, 2, 4, 8, 15)  # between two attempts to come back; the last one again and again
MOST_DROPS = 20
UNPACK = 'mkdir -p "$1" && tar -xf - -C "$1"'
REMOVE = 'rm -rf "$1"; rmdir "$2" 2>/dev/null; :'


class Ssh:
    """A machine behind an open connection."""

    def __init__(self, connection: Connection, latency: LatencyConfig, say: Say) -> None:
        self._connection, self._say = connection, say
        self._target = replace(latency.target, python=latency.target.python.removeprefix("~/"))
        self._runtime = latency.runtime.value
        self._parent = _plain(self._target.folder)
        self._drops = 0
        said = preflight.ask(connection, self._target, self._runtime, self._parent)
        preflight.refuse(said, self._target)
        for line in preflight.describe(said):
            say(f"{connection.host}: {line}")
        self.host = said.facts.host

    def measure(self, folder: Path, on_round: OnRound) -> None:
        """See `Target`. After a dropped connection the agent goes on from its journal, which is also kept here."""
        key = json.loads((folder / MANIFEST).read_bytes())["key"]
        far = f"{self._parent}/{key}"
        try:
            while True:
                try:
                    self._send(folder, far)
                    self._run(folder, far, on_round)
                    return
                except Dropped as drop:
                    self._come_back(drop)
        finally:
            self._remove(far)

    def _send(self, folder: Path, far: str) -> None:
        """Copy what is not there yet, in batches; the journal is newer there if there is one."""
        said = preflight.ask(self._connection, self._target, self._runtime, far)
        paths = [AGENT, *sorted(folder.glob("*.onnx")), folder / MANIFEST]
        missing = [path for path in paths if said.files.get(path.name) != sha256_of(path)]
        if JOURNAL not in said.files and (folder / JOURNAL).exists():
            missing.append(folder / JOURNAL)
        total = sum(path.stat().st_size for path in missing)
        if total > said.free_bytes:
            raise InputError(
                f"latency.target.folder={self._target.folder}: {self._connection.host} has "
                f"{said.free_bytes / 1e6:.0f} MB free there; expected {total / 1e6:.0f} MB for the models"
            )
        sent = 0
        for batch in _batches(missing):
            done = self._connection.run(["sh", "-c", UNPACK, "sh", far], _packed(batch))
            if done.returncode:
                words = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
                raise MeasuringError(f"{self._connection.host}: cannot copy to {far}: {words[-1]}")
            sent += sum(path.stat().st_size for path in batch)
            self._say(f"{self._connection.host}: {sent / 1e6:.1f} of {total / 1e6:.1f} MB copied")

    def _run(self, folder: Path, far: str, on_round: OnRound) -> None:
        def listen(said: dict[str, Any]) -> None:
            match said:
                case {"round": [number, _]}:
                    on_round(number)
                case {"results": results}:
                    write_atomic(folder / RESULTS, json.dumps(results).encode())
                case {"journal": {"key": _} as first}:  # its first line: all that follow are told again
                    (folder / JOURNAL).write_text(json.dumps(first) + "\n")
                case {"journal": times}:
                    with (folder / JOURNAL).open("a") as file:
                        file.write(json.dumps(times) + "\n")

        command = [self._target.python, f"{far}/{AGENT.name}", "--attached", far]
        try:
            follow(self._connection.command(command), listen)
        except AgentFailed as error:
            if error.status != DROPPED:
                raise
            if not self._connection.alive:
                raise Dropped("the connection was dropped") from None
            raise MeasuringError(
                f"{self._connection.host}: the measuring agent was killed there; perhaps it ran out of memory"
            ) from None

    def _come_back(self, drop: Dropped) -> None:
        """Connect again, for as long as the config allows.

        Raises:
            MeasuringError: it was in vain.
        """
        host, limit = self._connection.host, self._target.patience_s
        self._say(f"{host}: {drop}; connecting again")
        self._drops += 1
        end = time.monotonic() + limit
        for wait in _waits():
            try:
                if self._drops > MOST_DROPS:
                    raise MeasuringError(f"{host}: the connection was dropped {self._drops} times")
                self._connection.open()
                return
            except Dropped as error:
                if time.monotonic() + wait > end:
                    raise MeasuringError(
                        f"{host}: not reached again within {limit:g} s ({error}); the same command goes on from here"
                    ) from None
            time.sleep(wait)

    def _remove(self, far: str) -> None:
        try:
            self._connection.run(["sh", "-c", REMOVE, "sh", far, self._parent])
        except Dropped:
            self._say(f"{self._connection.host}: could not remove {far} there without a connection")


@contextmanager
def open_ssh(latency: LatencyConfig, say: Say) -> Iterator[Ssh]:
    """Connect and check the far machine first.

    Raises:
        InputError: it cannot be reached, or lacks something.
    """
    connection = Connection(latency.target)
    try:
        try:
            connection.open()
        except Dropped as error:
            raise InputError(f"latency.target.host={latency.target.host}: cannot connect: {error}") from None
        yield Ssh(connection, latency, say)
    finally:
        connection.close()


def _plain(folder: str) -> str:
    """A path that no command takes for an option; commands there start in the home folder."""
    folder = folder.removeprefix("~/").rstrip("/")
    return folder if folder.startswith("/") else f"./{folder}"


def _waits() -> Iterator[float]:
    yield from WAITS_S
    while True:
        yield WAITS_S[-1]


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += path.stat().st_size
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _packed(paths: Sequence[Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in paths:
            archive.add(path, path.name)
    return buffer.getvalue()
