"""Scalars of one stage as TensorBoard events."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from frostnas.errors import InputError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def require_tensorboard() -> None:
    """Raise InputError if the package is not installed."""
    if find_spec("tensorboard") is None:
        raise InputError("logger=tensorboard: the package is not installed; pip install 'frostnas[tensorboard]'")


class Board:
    """An event file that goes on where an interrupted run stopped.

    The first scalar that is written takes back what former runs logged from its step on: TensorBoard drops it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Args: tag: what is before its first slash is the card that TensorBoard shows it on."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # seconds, for those who asked for it

            self._writer = SummaryWriter(str(self.folder), purge_step=step)
        self._writer.add_scalar(tag, value, step)

    def flush(self) -> None:
        """Put what was written on disk, so that a killed process loses none of it."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
