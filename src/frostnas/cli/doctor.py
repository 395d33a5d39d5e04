"""`frostnas doctor`: whether this machine, and the target if one is configured, can do what the config asks for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from frostnas.artifacts import Host
from frostnas.cli.outcome import Outcome
from frostnas.config import Config, TargetName
from frostnas.errors import InputError
from frostnas.latency import prefers_signed, saturates
from frostnas.latency.said import Readiness
from frostnas.latency.targets.choose import open_target
from frostnas.latency.targets.follow import AGENT
from frostnas.report.grids import Grid
from frostnas.report.tables import view

FORMATS = {"openvino": "openvino", "executorch": "executorch", "tflite": "litert-torch"}  # extra: its package
GB = 1e9
LEAST_MEMORY, LITTLE_MEMORY = 0.5 * GB, 2 * GB
LEAST_DISK, LITTLE_DISK = 0.1 * GB, 2 * GB


class State(Enum):
    """`mind`: goes, with a drawback; `blocks`: what the config asks for cannot be done."""

    ok = "ok"
    mind = "mind"
    blocks = "blocks"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    state: State
    means: str
    """What it means, and what to do if it is not `ok`."""


def doctor(config: Config) -> Outcome:
    """Look at everything; nothing is written, and nothing fetched but from the ssh target."""
    said = _agent(config)
    findings = [
        *_torch(config),
        *_runtimes(config, said.lacking),
        *_cpu(said.facts.host),
        *_clock(said),
        *_room(config, said.free_bytes),
        *_target(config),
    ]
    rows = [(one.what, one.found, one.state.value, one.means) for one in findings]
    columns = ("what", "found", "state", "what it means")
    blocked = any(one.state is State.blocks for one in findings)
    shown = view(Grid("", [tuple(row) for row in rows], columns, columns))
    return Outcome(findings, shown, finish=(lambda: sys.exit(1)) if blocked else None)


def _agent(config: Config) -> Readiness:
    """What the measuring agent says of this machine."""
    command = [sys.executable, str(AGENT), "--check", config.run_dir, "--runtime", config.latency.runtime.value]
    return msgspec.json.decode(subprocess.check_output(command), type=Readiness)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _torch(config: Config) -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield Finding(
            "torch", f"none ({error})", State.blocks, "predict and evaluate work; the other commands need torch"
        )
        return
    from frostnas.engine.device import pick_device

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads", State.ok, "searches and trains")
    try:
        device = pick_device(config.device)
    except InputError as error:
        yield Finding("device", "no CUDA device", State.blocks, str(error))
        return
    if device.type == "cuda":
        yield Finding("device", torch.cuda.get_device_name(device), State.ok, "networks are trained on it")
    else:
        means = "networks are trained on the CPU: small images in minutes to hours; a CUDA device is faster"
        yield Finding("device", f"cpu, {allowed} CPUs allowed", State.ok, means)


def _runtimes(config: Config, lacking: dict[str, str]) -> Iterator[Finding]:
    wanted = config.latency.runtime.value
    for package, reason in lacking.items():
        yield Finding(
            package, f"none ({reason})", State.blocks, f"latency.runtime={wanted} measures with it: install it"
        )
    if found := _installed("onnxruntime"):
        yield Finding("onnxruntime", found, State.ok, "runs exported files, and measures unless latency=openvino")
    for extra, package in FORMATS.items():
        found = _installed(package)
        if found:
            yield Finding(extra, found, State.ok, f"export.formats=[{extra}] can be written")
        else:
            state = State.blocks if extra in config.export.formats else State.ok
            means = f"only export.formats=[{extra}] needs it: `pip install 'frostnas[{extra}]'`"
            yield Finding(extra, "not installed", state, means)


def _cpu(host: Host) -> Iterator[Finding]:
    flags = ", ".join(host.cpu_flags) or "none of those that matter"
    if host.emulated:
        state, means = State.mind, "the CPU is emulated: latencies measured here say nothing about a real one"
    elif saturates(host):
        state = State.mind
        means = (
            "no VNNI, no AMX: sums of 8-bit products can overflow, so weights get 7 bits (quant.weight_bits), and INT8 "
            "gains less over FP32; for a target with VNNI measure there"
        )
    elif prefers_signed(host):
        state = State.mind if "asimddp" not in host.cpu_flags else State.ok
        means = "no i8mm: activations are int8 (quant.signed_activations); without asimddp (dotprod) INT8 gains little"
    else:
        state, means = State.ok, "INT8 dot products in hardware: 8-bit weights, uint8 activations"
    yield Finding("CPU", f"{host.cpu} ({host.machine}): {flags}", state, means)


def _clock(said: Readiness) -> Iterator[Finding]:
    governor = said.facts.governor
    if governor in ("", "performance"):
        means = "not to be seen here, as in most virtual machines" if not governor else "the clock stays up"
        yield Finding("governor", governor or "unknown", State.ok, means)
    else:
        means = (
            "the clock follows the load, and latencies with it: "
            "`echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor`"
        )
        yield Finding("governor", governor, State.mind, means)
    for sentence in said.throttled:
        yield Finding(
            "clock", sentence, State.mind, "latencies are too high: cool the machine, feed it better, measure again"
        )
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > 0.5 * cpus
    means = "latencies measured now would be doubtful: stop other work first" if busy else "quiet enough to measure"
    yield Finding("load", f"{load:.1f} on {cpus} CPUs", State.mind if busy else State.ok, means)


def _room(config: Config, run_dir_free: float) -> Iterator[Finding]:
    memory = _memory()
    if memory is not None:
        state = _amount(memory, LEAST_MEMORY, LITTLE_MEMORY)
        means = "train with a smaller batch_size, or lower data.in_memory_mb" if state is not State.ok else "enough"
        yield Finding("memory", f"{memory / GB:.1f} GB free", state, means)
    state = _amount(run_dir_free, LEAST_DISK, LITTLE_DISK)
    means = "make room, or give another run_dir=" if state is not State.ok else f"for run_dir={config.run_dir}"
    yield Finding("disk", f"{run_dir_free / GB:.1f} GB free", state, means)
    folder = Path(config.run_dir).absolute()
    folder = next(one for one in (folder, *folder.parents) if one.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield Finding("run_dir", str(folder), State.blocks, "cannot be written to: give another run_dir=")


def _memory() -> float | None:
    """Bytes that a new process may take; None where Linux does not say."""
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((1024 * float(line.split()[1]) for line in lines if line.startswith("MemAvailable")), None)


def _amount(there: float, least: float, little: float) -> State:
    return State.blocks if there < least else State.mind if there < little else State.ok


def _target(config: Config) -> Iterator[Finding]:
    target = config.latency.target
    if target.name is not TargetName.ssh:
        return
    if shutil.which("ssh") is None:
        yield Finding("ssh", "not installed", State.blocks, "latency/target=ssh needs the system's ssh")
        return
    lines: list[str] = []
    try:
        with open_target(config.latency, lines.append):
            yield Finding("target", target.host, State.ok, "it answers, and has all that measuring needs")
    except InputError as error:
        yield Finding("target", target.host or "no host", State.blocks, str(error))
    for line in lines:
        state = State.mind if "warning: " in line else State.ok
        yield Finding("target", line.partition(": ")[2].removeprefix("warning: "), state, "on the target")
