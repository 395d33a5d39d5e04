"""`frostnas` and `python -m frostnas`: nothing is imported before an interrupt ends the process in one line."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Entry point of the `frostnas` script."""
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)
    from frostnas.cli import main as commands

    commands()


def _end(signum: int, frame: object) -> None:
    """Imports do not survive an exception in their midst, and before the work there is nothing to put in order."""
    os.write(2, b"frostnas: interrupted; the same command goes on from here\n")
    os._exit(130)


if __name__ == "__main__":
    main()
