"""What a far machine must have before anything is sent to it, said so that it can be mended."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from frostnas.config import TargetConfig
from frostnas.errors import InputError
from frostnas.latency.said import Readiness
from frostnas.latency.targets.connection import Connection
from frostnas.latency.targets.follow import AGENT

OLDEST = (3, 8)
NOT_FOUND = (126, 127)  # a shell's exit statuses for a command that it cannot run
MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")  # that numpy and the runtimes are packaged for


def ask(connection: Connection, target: TargetConfig, runtime: str, folder: str) -> Readiness:
    """What the agent says there; it is read from standard input, so nothing is copied for it.

    Raises:
        InputError: no Python that runs it.
        Dropped: the connection is gone.
    """
    command = [target.python, "-", "--check", folder, "--runtime", runtime]
    done = connection.run(command, AGENT.read_bytes())
    words = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
    if done.returncode in NOT_FOUND:
        raise InputError(
            f"latency.target.python={target.python}: {connection.host} does not run it ({words[-1]}); expected Python "
            "3.8 or newer: install it there (`sudo apt install python3 python3-venv`), or name it"
        )
    answers = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
    if done.returncode or not answers:
        raise InputError(
            f"latency.target.python={target.python}: the measuring agent does not start with it on {connection.host}: "
            f"{words[-1]}"
        )
    return msgspec.json.decode(answers[-1], type=Readiness)


def refuse(said: Readiness, target: TargetConfig) -> None:
    """Raise unless everything that measuring needs is there.

    Raises:
        InputError: something is missing; it says what to install.
    """
    facts, missing = said.facts, said.lacking
    found = f"Python {facts.python} ({facts.machine})"
    where = f"latency.target.python={target.python}: on {target.host} it is {found}"
    if tuple(map(int, facts.python.split(".")[:2])) < OLDEST:
        raise InputError(f"{where}; expected 3.8 or newer")
    if not missing:
        return
    if facts.machine not in MACHINES:
        raise InputError(f"{where} without {' and '.join(missing)}, which are packaged for 64-bit systems only")
    raise InputError(
        f"{where} without {' and '.join(missing)} ({'; '.join(missing.values())}); install there: "
        f"`{target.python} -m venv frostnas-python && frostnas-python/bin/pip install numpy {facts.runtime}`, "
        "then add latency.target.python=frostnas-python/bin/python"
    )


def describe(said: Readiness) -> Iterator[str]:
    """Lines on the machine, and on what makes its times doubtful."""
    facts = said.facts
    yield (
        f"{facts.machine}, {facts.cpu}, Python {facts.python}, {facts.runtime} {facts.runtime_version}, "
        f"{said.free_bytes / 1e9:.1f} GB free"
    )
    if facts.governor not in ("", "performance"):
        yield (
            f"warning: the CPU's governor is {facts.governor}, so its clock follows the load; "
            "`echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor` fixes it"
        )
    for sentence in said.throttled:
        yield f"warning: the CPU does not run at full speed: {sentence}"
    if facts.emulated:
        yield "warning: this CPU is emulated: its times say nothing about a real one"
