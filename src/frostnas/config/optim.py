"""Optimizer and schedule settings, shared by every stage that trains."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from frostnas.config.fields import bounded


class OptimizerName(Enum):
    sgd = "sgd"
    adamw = "adamw"
    rmsprop_tf = "rmsprop_tf"


class ScheduleName(Enum):
    cosine = "cosine"
    step = "step"
    constant = "constant"


@dataclass
class OptimConfig:
    """One optimizer and its learning-rate schedule."""

    name: OptimizerName = OptimizerName.sgd
    lr: float = bounded(0.05, 0)
    momentum: float = bounded(0.9, 0, 1)
    weight_decay: float = bounded(1e-4, 0)
    """Full for convolutions; 0 for depthwise weights, a hundredth for batch norm, biases and the classifier."""
    schedule: ScheduleName = ScheduleName.cosine
    warmup_epochs: float = bounded(0.0, 0)
    step_epochs: float = bounded(2.4, 0)
    """`step`: epochs between two decays; may be a fraction."""
    step_factor: float = bounded(0.97, 0, 1)
    clip_norm: float | None = bounded(None, 0)
    """Largest gradient norm; null for no clipping."""
