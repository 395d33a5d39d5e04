"""Checkpoints of a training run: when they are due, and how a run goes on from one."""

from __future__ import annotations

import time
from pathlib import Path

from frostnas.engine import load_checkpoint, save_checkpoint
from frostnas.engine.interrupt import Interrupts
from frostnas.training.trainer import Trainer

CHECKPOINT_SECONDS = 20.0  # of work that a killed run may lose


class Saver:
    """Saves a trainer's state every so often, when the run is interrupted, and at its end."""

    def __init__(self, trainer: Trainer, path: Path, fingerprint: str, interrupts: Interrupts) -> None:
        """Args: fingerprint: hash of everything that determines the run; another run's checkpoint is not used."""
        self.trainer, self.path, self.fingerprint, self.interrupts = trainer, path, fingerprint, interrupts
        self.clock = self.saved = time.monotonic()

    def after_step(self) -> None:
        """Save if it is time.

        Raises:
            KeyboardInterrupt: the user asked to stop; the state is saved.
        """
        if self.interrupts.requested:
            self.save()
            raise KeyboardInterrupt
        if time.monotonic() - self.saved >= CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the checkpoint now."""
        now = time.monotonic()
        self.trainer.progress.seconds += now - self.clock
        self.clock = self.saved = now
        save_checkpoint(self.path, {"fingerprint": self.fingerprint, "trainer": self.trainer.state_dict()})


def resume(trainer: Trainer, path: Path, fingerprint: str) -> bool:
    """Put ``trainer`` where the checkpoint of the same run stopped; False where there is none."""
    content = load_checkpoint(path)
    if content is None or content.get("fingerprint") != fingerprint:
        return False
    trainer.load_state_dict(content["trainer"])
    return True
