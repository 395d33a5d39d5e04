"""A folder of models for the measuring agent, and the results that it wrote for them."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frostnas.artifacts import Host, Timing, bytes_of, checked, sha256_of, write_atomic
from frostnas.config import LatencyConfig
from frostnas.errors import InputError
from frostnas.latency.agent import signature
from frostnas.latency.said import Report

if TYPE_CHECKING:
    import onnx  # finished files need no more than their bytes

MANIFEST, RESULTS, JOURNAL = "manifest.json", "results.json", "journal.jsonl"


class MeasuringError(RuntimeError):
    """The agent failed; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's times in ms over all rounds."""

    hot: Timing
    round_robin: Timing


@dataclass(frozen=True, slots=True)
class Results:
    """What one run of the agent measured, and where."""

    host: Host
    runtime_version: str
    governor: str
    """Of the CPU's clock; empty where Linux does not say."""
    cpus: tuple[int, ...]
    models: dict[str, Measured]
    operations: tuple[dict[str, float], ...]
    """Of the models that this was asked for: mean ms per run by "node name|operation"."""
    outputs: dict[str, str]
    """Of the models that this was asked for: SHA-256 of the output for the agent's fixed input."""


class Job:
    """Models by name in a folder, each under its own SHA-256, to be measured in one interleaved session."""

    def __init__(self, folder: Path, config: LatencyConfig) -> None:
        self.folder, self.config = folder, config
        self.digests: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, model: onnx.ModelProto | Path) -> None:
        """A model under its name; the same bytes are kept and measured once."""
        content = model.read_bytes() if isinstance(model, Path) else model.SerializeToString()
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / f"{digest}.onnx"
        if not path.exists():
            write_atomic(path, content)
        self.digests[name] = digest

    def close(self, operations_of: Sequence[str] = (), outputs_of: Sequence[str] = ()) -> None:
        """Write the manifest, unless the same one is there, and delete models that it does not name."""
        config, digests = self.config, list(dict.fromkeys(self.digests.values()))
        manifest = {
            "runtime": config.runtime.value,
            "threads": config.threads,
            "batch": config.batch,
            "cpus": list(config.cpus),
            "rounds": config.rounds,
            "round_ms": config.round_ms,
            "models": [{"file": f"{digest}.onnx", "sha256": digest} for digest in digests],
            "operations_of": [self.digests[name] for name in operations_of],
            "outputs_of": [self.digests[name] for name in outputs_of],
        }
        before = _manifest_in(self.folder)
        if before != _sealed(manifest, str(before.get("key"))):
            write_atomic(self.folder / MANIFEST, json.dumps(_sealed(manifest, secrets.token_hex(16))).encode())
            (self.folder / RESULTS).unlink(missing_ok=True)
        for path in self.folder.glob("*.onnx"):
            if path.stem not in digests:
                path.unlink()

    def session(self) -> Results:
        """What the results in the folder say.

        Raises:
            InputError: they were cut, edited, or are not those of this folder's models.
        """
        path = self.folder / RESULTS
        report = read_results(path, self.folder)
        missing = [name for name, digest in self.digests.items() if digest not in report.samples]
        if missing:
            raise InputError(f"{path}: holds no times of {missing[0]}; measure again")
        return Results(
            host=report.facts.host,
            runtime_version=report.facts.runtime_version,
            governor=report.facts.governor,
            cpus=report.cpus,
            models={name: _measured(report.samples[digest]) for name, digest in self.digests.items()},
            operations=report.operations,
            outputs={name: report.outputs.get(digest, "") for name, digest in self.digests.items()},
        )


def read_results(path: Path, folder: Path) -> Report:
    """The agent's results for the manifest in ``folder``.

    Raises:
        InputError: the file is missing, was cut or edited, holds other models, or what no machine measures.
    """
    manifest_path = folder / MANIFEST
    try:
        said: dict[str, Any] = json.loads(bytes_of(path))
        given = said.pop("signature")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected the results.json that the agent wrote") from None
    except InputError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError, OSError):
        raise InputError(f"{path}: is not a whole results.json of the agent; copy it again") from None
    if said.get("manifest_sha256") != sha256_of(manifest_path):
        raise InputError(f"{path}: was measured with other models or settings than {manifest_path} names")
    key = json.loads(manifest_path.read_bytes())["key"]
    if signature(said, key) != given:
        raise InputError(f"{path}: was changed after the agent wrote it; copy it again")
    return checked(path, said, Report)


def _sealed(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    """With a key that its results are signed with, and a signature of its own."""
    keyed = manifest | {"key": key}
    return keyed | {"signature": signature(keyed, key)}


def _manifest_in(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(bytes_of(folder / MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _measured(samples: Sequence[Sequence[float]]) -> Measured:
    hot, cold = np.percentile(np.asarray(samples), [10, 50, 90], axis=0).T  # of (rounds, 2)
    return Measured(Timing(*map(float, hot)), Timing(*map(float, cold)))
