"""An sshd of the tests' own on 127.0.0.1, with throw-away keys."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def running_sshd(folder: Path) -> Iterator[Path]:
    """An ssh config that knows the host `frostnas-test`, while its sshd runs."""
    assert SSHD is not None
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd's unprivileged part lives
    for key in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = [
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/client.pub",
        f"PidFile {folder}/pid",
        "StrictModes no",  # the folder is below one that everybody may write to
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
    ]
    (folder / "sshd_config").write_text("\n".join(settings) + "\n")
    kind, public = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {public}\n")
    config = folder / "ssh_config"
    config.write_text(
        f"Host frostnas-test\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n"
        f" IdentityFile {folder}/client\n IdentitiesOnly yes\n UserKnownHostsFile {folder}/known_hosts\n"
    )
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
        try:
            _wait_for(port)
            yield config
        finally:
            server.terminate()
            server.wait()


def drop_connections(config: str | Path, how: signal.Signals = signal.SIGKILL) -> None:
    """Kill the server's end of every connection; or stop it, as if the cable were cut."""
    server = (Path(config).parent / "pid").read_text().strip()
    for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        with suppress(ProcessLookupError):  # one that ended meanwhile, with another
            os.kill(int(child), how)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError(f"no sshd on port {port}")
