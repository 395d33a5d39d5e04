"""The phases of stage 3: StatAssist in floating point, quantization-aware training, then fixed ranges."""

from __future__ import annotations

from dataclasses import dataclass

from frostnas.config import TrainConfig
from frostnas.quant import QuantState


@dataclass(frozen=True, slots=True)
class Phase:
    """Consecutive epochs in one state of the quantizers."""

    name: str
    state: QuantState
    epochs: int
    schedule_start: int
    """Epochs of this phase's learning-rate schedule that lie before it."""
    schedule_epochs: int
    """Length of that schedule."""


def phases(config: TrainConfig) -> tuple[Phase, ...]:
    """The phases that have epochs, in order.

    The schedule restarts when fake-quant goes on (StatAssist, section 4); frozen epochs end the same schedule.
    In floating point the quantizers observe, so that their ranges are primed when they begin to round.
    """
    frozen = min(config.frozen_epochs, config.epochs)
    moving = config.epochs - frozen
    every = (
        Phase("float", QuantState.OBSERVE, config.float_epochs, 0, config.float_epochs),
        Phase("qat", QuantState.FAKE, moving, 0, config.epochs),
        Phase("frozen", QuantState.FROZEN, frozen, moving, config.epochs),
    )
    return tuple(phase for phase in every if phase.epochs)


def phase_of(config: TrainConfig, epoch: int) -> tuple[Phase, int]:
    """The phase that ``epoch`` (from 0 over all phases) lies in, and the epochs of its schedule before it."""
    before = 0
    for phase in phases(config):
        if epoch < before + phase.epochs:
            return phase, epoch - before + phase.schedule_start
        before += phase.epochs
    raise IndexError(f"epoch {epoch} is behind the last of {before}")


def total_epochs(config: TrainConfig) -> int:
    return config.float_epochs + config.epochs
