"""What a training is made of: images in a batch, epochs in every phase, optimizer, quantization, seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from frostnas.config import Config, OptimConfig, QuantConfig
from frostnas.engine.distributed import World
from frostnas.errors import InputError
from frostnas.quant import QuantState, Scheme

Key = Literal["search_block", "search_net", "train"]


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
    lr: float = 1.0
    """Share of the recipe's learning rate that the schedule begins with."""
    head: bool = False
    """The classifier alone learns."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Floating point first (StatAssist), then fake-quantized (GradBoost), the last epochs with fixed ranges."""

    key: Key
    """Config group of its settings, which errors name."""
    seed: int
    batch_size: int
    float_epochs: int
    epochs: int
    """Fake-quantized ones."""
    optim: OptimConfig
    quant: QuantConfig
    frozen_epochs: int = 0
    """Of the fake-quantized epochs the last, with ranges and batch-norm statistics fixed."""
    head_epochs: int = 0
    """Before all others, of the classifier alone, while batch norm gets used to the images."""
    trunk_lr: float = 1.0
    """Share of the learning rate for everything but the classifier."""
    qat_lr: float = 1.0
    """Share of the learning rate that fake-quantized epochs begin with."""
    micro_batches: int = 1
    """Parts that a batch goes through the network in."""

    @classmethod
    def of(cls, config: Config, key: Key) -> Recipe:
        """That of a stage."""
        one = getattr(config, key)
        recipe = cls(key, config.seed, one.batch_size, one.float_epochs, one.epochs, one.optim, config.quant)
        recipe = replace(recipe, micro_batches=one.micro_batches)
        if key != "search_block":
            recipe = replace(recipe, qat_lr=one.qat_lr)
        if key != "train":
            return recipe
        train = config.train
        return replace(
            recipe,
            frozen_epochs=train.frozen_epochs,
            head_epochs=train.head_epochs,
            trunk_lr=train.trunk_lr,
        )

    def check_shares(self, world: World) -> None:
        """Raise InputError unless the processes can hold equal parts of every batch."""
        if self.batch_size % world.size:
            raise InputError(f"{self.key}.batch_size={self.batch_size}: expected a multiple of {world.size} processes")

    @property
    def scheme(self) -> Scheme:
        return Scheme.of(self.quant)

    @property
    def total_epochs(self) -> int:
        return self.head_epochs + self.float_epochs + self.epochs

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that have epochs, in order.

        The schedule restarts when fake-quant goes on (StatAssist, section 4); frozen epochs end the same schedule.
        At the end of floating point the quantizers observe, so that their ranges are primed when they begin to round:
        in the last epoch, or in a search in all of them, since a step reaches some of its candidates only.
        """
        frozen = min(self.frozen_epochs, self.epochs)
        moving = self.epochs - frozen
        unseen = max(0, self.float_epochs - 1) if self.key == "train" else 0
        every = (
            Phase("head", QuantState.FLOAT, self.head_epochs, 0, self.head_epochs, head=True),
            Phase("float", QuantState.FLOAT, unseen, 0, self.float_epochs),
            Phase("float", QuantState.OBSERVE, self.float_epochs - unseen, unseen, self.float_epochs),
            Phase("qat", QuantState.FAKE, moving, 0, self.epochs, self.qat_lr),
            Phase("frozen", QuantState.FROZEN, frozen, moving, self.epochs, self.qat_lr),
        )
        return tuple(phase for phase in every if phase.epochs)

    def at(self, epoch: int) -> tuple[Phase, int]:
        """The phase that ``epoch`` (from 0 over all phases) lies in, and the epochs of its schedule before it."""
        before = 0
        for phase in self.phases:
            if epoch < before + phase.epochs:
                return phase, epoch - before + phase.schedule_start
            before += phase.epochs
        raise IndexError(f"epoch {epoch} is behind the last of {before}")
