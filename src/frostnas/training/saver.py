"""Checkpoints of a training run: when they are due, and how a run goes on from one."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

import torch

from frostnas.engine import load_checkpoint, save_checkpoint
from frostnas.engine.distributed import from_first, total
from frostnas.engine.interrupt import Interrupts
from frostnas.errors import InputError
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
        """Put the trainer where the checkpoint of the same run stopped; False where there is none.

        Raises:
            InputError: several processes found different checkpoints.
        """
        content = load_checkpoint(self.path)
        found = content is not None and content.get("fingerprint") == self.fingerprint
        if content is not None and found:
            self.trainer.load_state_dict(content["trainer"])
        self._check_alike()
        return found

    def _check_alike(self) -> None:
        """All processes must go on from one place; nodes that do not share the run directory might not."""
        progress = self.trainer.progress
        mine = torch.tensor([progress.epoch, progress.step], device=self.trainer.device)
        first = mine.clone()
        from_first([first])
        if total((mine != first).sum()):
            raise InputError(
                f"{self.path}: the processes found different checkpoints; all nodes need the first one's: share the "
                "run directory, or copy the file"
            )

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
