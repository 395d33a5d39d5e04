"""What the stage has done so far, on disk: a killed run goes on from the last checkpoint to the identical result."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frostnas.engine import load_checkpoint, save_checkpoint
from frostnas.engine.interrupt import Interrupts

CHECKPOINT_SECONDS = 20.0  # of work that a killed run may lose


class Journal:
    """Finished work by name, and the state of the work that is going on.

    Everything is plain: tensors, numbers, strings and containers of them.
    """

    def __init__(self, path: Path, fingerprint: str, interrupts: Interrupts) -> None:
        """Args: fingerprint: hash of everything that determines the run; another run's journal is not used."""
        self.path, self.fingerprint, self.interrupts = path, fingerprint, interrupts
        content = load_checkpoint(path)
        known = content is not None and content.get("fingerprint") == fingerprint
        self.done: dict[str, Any] = content["done"] if known and content is not None else {}
        self.live: Any = content["live"] if known and content is not None else None
        """What `after_step` saved of unfinished work, until it is finished."""
        self._saved = time.monotonic()

    def once(self, name: str, work: Callable[[], Any], *, part: bool = False) -> Any:
        """The result of ``work``: from the journal, else computed and written to it.

        Args:
            part: of work that goes on, whose live state is still wanted.
        """
        if name not in self.done:
            self.done[name] = work()
            if not part:
                self.live = None
            self._save()
        return self.done[name]

    def after_step(self, state: Callable[[], Any]) -> None:
        """Save the live state if it is time.

        Raises:
            KeyboardInterrupt: the user asked to stop; the state is saved.
        """
        if self.interrupts.requested or time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            self.live = state()
            self._save()
        if self.interrupts.requested:
            raise KeyboardInterrupt

    def _save(self) -> None:
        save_checkpoint(self.path, {"fingerprint": self.fingerprint, "done": self.done, "live": self.live})
        self._saved = time.monotonic()
