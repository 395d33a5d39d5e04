"""The `quant` group: the integer scheme and the QAT recipe that every stage shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from frostnas.config.fields import bounded, chosen


class GradBoostMode(Enum):
    """`corrected`: the paper's definition. `released`: step for step what the published optimizers do."""

    corrected = "corrected"
    released = "released"


class Observer(Enum):
    """What sets the activation range of a batch: its extremes, all but a tail, or the least rounding error."""

    minmax = "minmax"
    percentile = "percentile"
    mse = "mse"


@dataclass
class GradBoostConfig:
    """Outward gradient noise in the QAT phase (FrostNet, section 3.3)."""

    enabled: bool = True
    mode: GradBoostMode = GradBoostMode.corrected
    clip_by: float = bounded(1e-3, 0)
    """Largest magnitude of the noise on one gradient element."""
    noise_decay: float = bounded(1e-2, 0, 1)
    """The noise shrinks by 1 - noise_decay per QAT step."""
    averaging: float = bounded(0.9, 0, 1)
    """Decay of the running extremes of |gradient|."""
    toss_coin: bool = True
    """Give noise to a random half of the elements, drawn anew each step."""


@dataclass
class QuantConfig:
    """Integer scheme and GradBoost."""

    weight_bits: int | None = chosen(None, 7, 8)
    """null: 7 for x86 CPUs without VNNI, whose sums of 8-bit products can overflow, else 8."""
    signed_activations: bool | None = None
    """int8 activations in place of uint8. null: on ARM CPUs without i8mm under ONNX Runtime, nowhere else."""
    averaging: float = bounded(0.01, 1e-4, 1)
    """Weight of the newest batch in an activation range."""
    observer: Observer = Observer.minmax
    """What a batch says of an activation range."""
    gradboost: GradBoostConfig = field(default_factory=GradBoostConfig)
