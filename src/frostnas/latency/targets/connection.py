"""One connection of the system's own ssh, kept open and shared by every command (ControlMaster)."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from frostnas.config import TargetConfig
from frostnas.errors import InputError
from frostnas.latency.job import MeasuringError

DROPPED = 255  # ssh's own exit status; any other is the far command's
SILENT_S, SILENCES = 5, 3  # a connection is lost after so many unanswered probes, so many seconds apart
HOSTILE = re.compile(r"""^$|^-|@-|[\s\x00-\x1f\x7f`'"$\\;&<>|(){}*?!#]""")


class Dropped(MeasuringError):
    """The connection is not there; the message holds ssh's last words."""


class Connection:
    """A host as the ssh command knows it, with the user's own config, keys and jump hosts.

    Raises:
        InputError: the host's name is none, or there is no ssh here.
    """

    def __init__(self, target: TargetConfig) -> None:
        if HOSTILE.search(target.host):
            raise InputError(
                f"latency.target.host={target.host!r}: expected a host of your ssh config, or user@host, "
                "without spaces and shell characters; host= says it"
            )
        if shutil.which("ssh") is None:
            raise InputError("latency/target=ssh: no ssh command on this machine; install openssh-client")
        self.host = target.host
        self._folder = Path(tempfile.mkdtemp(prefix="frostnas-ssh-"))
        self._options = ["-S", str(self._folder / "s").replace("%", "%%"), "-T"]
        self._options += ["-F", target.ssh_config] if target.ssh_config else []
        self._options += ["-p", str(target.port)] if target.port else []
        self._options += ["-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"]

    def open(self) -> None:
        """Connect; ssh asks for a passphrase or an unknown host's key if there is a terminal to ask on.

        Raises:
            Dropped: no connection.
        """
        settings = [
            "ControlMaster=yes",
            "ControlPersist=60",  # s without a command: nothing stays behind if this process is killed
            "ConnectTimeout=15",
            f"ServerAliveInterval={SILENT_S}",
            f"ServerAliveCountMax={SILENCES}",
            f"BatchMode={'no' if sys.stdin.isatty() else 'yes'}",
        ]
        command = ["ssh", "-N", "-f", *self._options, *(word for item in settings for word in ("-o", item))]
        with tempfile.TemporaryFile() as errors:  # the connection in the background would keep a pipe open
            done = subprocess.run([*command, "--", self.host], stdout=subprocess.DEVNULL, stderr=errors, check=False)
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip().splitlines()
        if done.returncode:
            raise Dropped(words[-1].strip() if words else "ssh gave no reason")

    def command(self, words: Sequence[str]) -> list[str]:
        """The argument list that runs ``words`` there, each of them data to the far shell.

        It never connects by itself: without the open connection its exit status is `DROPPED`.
        """
        own = ["ssh", *self._options, "-o", "ControlMaster=no", "-o", "ProxyCommand=false"]
        return [*own, "--", self.host, shlex.join(words)]

    def run(self, words: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run ``words`` there with ``given`` on standard input.

        Raises:
            Dropped: the connection is gone.
        """
        done = subprocess.run(self.command(words), input=given, capture_output=True, check=False)
        if done.returncode == DROPPED and not self.alive:
            raise Dropped("the connection was dropped")
        return done

    @property
    def alive(self) -> bool:
        return self._control("check")

    def close(self) -> None:
        """End the connection."""
        self._control("exit")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _control(self, request: str) -> bool:
        command = ["ssh", *self._options, "-O", request, "--", self.host]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
