"""Checkpoints of a training run: when they are due, and how a run goes on from one."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

import torch

from frostnas.engine import load_checkpoint, save_checkpoint
from frostnas.engine.distributed import total
from frostnas.engine.interrupt import Interrupts
from frostnas.training.trainer import Trainer

CHECKPOINT_SECONDS = 20.0  # of work that a killed run may lose


class Saver:
    """Saves a trainer's state every so often, when the run is interrupted, and at its end."""

    def __init__(self, trainer: Trainer, path: Path, fingerprint: str) -> None:
        """Args: fingerprint: hash of everything that determines the run; another run's checkpoint is not used."""
        self.trainer, self.path, self.fingerprint = trainer, path, fingerprint
        self.interrupts = Interrupts()
        self.clock = self.saved = time.monotonic()

    def __enter__(self) -> Saver:
        """From here on an interrupt waits for `after_step`."""
        self.interrupts.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.interrupts.__exit__(kind, error, trace)

    def resume(self) -> bool:
        """Put the trainer where the checkpoint of the same run stopped; False where there is none."""
        content = load_checkpoint(self.path)
        if content is None or content.get("fingerprint") != self.fingerprint:
            return False
        self.trainer.load_state_dict(content["trainer"])
        return True

    def after_step(self) -> None:
        """Save if it is time.

        Raises:
            KeyboardInterrupt: the user asked to stop; the state is saved.
        """
        if self._asked_to_stop():
            self.trainer.read()
            self.save()
            raise KeyboardInterrupt
        if not self.trainer.unread and time.monotonic() - self.saved >= CHECKPOINT_SECONDS:
            self.save()

    def _asked_to_stop(self) -> bool:
        """Of several processes any may be asked; all look after the same steps and stop together."""
        if self.trainer.world.size == 1:
            return self.interrupts.requested
        if self.trainer.unread:
            return False
        return bool(total(torch.tensor(float(self.interrupts.requested), device=self.trainer.device)))

    def save(self) -> None:
        """Write the checkpoint now; of several processes the first does."""
        now = time.monotonic()
        self.trainer.progress.seconds += now - self.clock
        self.clock = self.saved = now
        if self.trainer.world.writes:
            save_checkpoint(self.path, {"fingerprint": self.fingerprint, "trainer": self.trainer.state_dict()})
