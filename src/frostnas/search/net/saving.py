"""Checkpoints of the stage: when they are due, and how the stage goes on from one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frostnas.engine import load_checkpoint, save_checkpoint
from frostnas.engine.interrupt import Interrupts

CHECKPOINT_SECONDS = 20.0  # of work that a killed run may lose


class Saver:
    """Saves a state every so often and when the run is interrupted."""

    def __init__(self, path: Path, fingerprint: str, state: Callable[[], Any], interrupts: Interrupts) -> None:
        """Args: fingerprint: hash of everything that determines the run; another run's checkpoint is not used."""
        self.path, self.fingerprint, self.state, self.interrupts = path, fingerprint, state, interrupts
        self._saved = time.monotonic()

    def load(self) -> Any:
        """The state that the same run saved; None where there is none."""
        content = load_checkpoint(self.path)
        return content["state"] if content is not None and content.get("fingerprint") == self.fingerprint else None

    def after_step(self) -> None:
        """Save if it is time.

        Raises:
            KeyboardInterrupt: the user asked to stop; the state is saved.
        """
        if self.interrupts.requested:
            self.save()
            raise KeyboardInterrupt
        if time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the checkpoint now."""
        save_checkpoint(self.path, {"fingerprint": self.fingerprint, "state": self.state()})
        self._saved = time.monotonic()
