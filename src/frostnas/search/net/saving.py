"""Checkpoints of the stage: when they are due, and how the stage goes on from one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from frostnas.engine import Workspace, load_checkpoint, save_checkpoint
from frostnas.engine.distributed import total
from frostnas.engine.interrupt import Interrupts

CHECKPOINT_SECONDS = 20.0  # of work that a killed run may lose


class Saver:
    """Saves a state every so often and when the run is interrupted."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        fingerprint: str,
        state: Callable[[], Any],
        interrupts: Interrupts,
        device: torch.device,
    ) -> None:
        """Args: fingerprint: hash of everything that determines the run; another run's checkpoint is not used."""
        self.path, self.writes = workspace.checkpoints / name, workspace.writes
        self.fingerprint, self.state, self.interrupts, self.device = fingerprint, state, interrupts, device
        self._saved = time.monotonic()

    def load(self) -> Any:
        """The state that the same run saved; None where there is none."""
        content = load_checkpoint(self.path)
        return content["state"] if content is not None and content.get("fingerprint") == self.fingerprint else None

    def after_step(self) -> None:
        """Save if it is time; of several processes any may be asked to stop, and all stop together.

        Raises:
            KeyboardInterrupt: the user asked to stop; the state is saved.
        """
        if total(torch.tensor(float(self.interrupts.requested), device=self.device)):
            self.save()
            raise KeyboardInterrupt
        if time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the checkpoint now; of several processes the first does."""
        if self.writes:
            save_checkpoint(self.path, {"fingerprint": self.fingerprint, "state": self.state()})
        self._saved = time.monotonic()
