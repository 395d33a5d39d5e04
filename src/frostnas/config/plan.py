"""The `plan` group: the least that a time limit leaves of a stage, and the most that it makes of a batch.

The most of everything else is what the stage's own settings say.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from frostnas.config.fields import bounded


@dataclass
class BlockFloors:
    """Of `search_block`."""

    float_epochs: int = bounded(1, 0, matters=False)
    epochs: int = bounded(3, 1, matters=False)
    finalists: int = bounded(4, 1, matters=False)
    finalist_epochs: int = bounded(2, 1, matters=False)
    refinements: int = bounded(0, 0, matters=False)
    finals: int = bounded(2, 1, matters=False)
    compare_epochs: int = bounded(2, 1, matters=False)
    random_blocks: int = bounded(1, 0, matters=False)


@dataclass
class LatencyFloors:
    """Of `latency`."""

    rounds: int = bounded(4, 2, matters=False)


@dataclass
class NetFloors:
    """Of `search_net`."""

    float_epochs: int = bounded(1, 0, matters=False)
    epochs: int = bounded(4, 1, matters=False)
    population: int = bounded(8, 4, matters=False)
    generations: int = bounded(3, 1, matters=False)
    front_networks: int = bounded(4, 0, matters=False)
    finals: int = bounded(2, 0, matters=False)
    final_epochs: int = bounded(1, 0, matters=False)


@dataclass
class TrainFloors:
    """Of `train`."""

    float_epochs: int = bounded(1, 0, matters=False)
    epochs: int = bounded(5, 0, matters=False)
    frozen_epochs: int = bounded(1, 0, matters=False)


@dataclass
class PlanConfig:
    """Floors by the group that they are of; a setting that is smaller already stays as it is."""

    search_block: BlockFloors = field(default_factory=BlockFloors)
    latency: LatencyFloors = field(default_factory=LatencyFloors)
    search_net: NetFloors = field(default_factory=NetFloors)
    train: TrainFloors = field(default_factory=TrainFloors)
    largest_batch: int = bounded(256, 2, matters=False)
    """Images; `search_net.batch_size` and `train.batch_size` are doubled up to this, with their learning rates, where
    that saves a quarter of the time of an epoch and the limit cuts epochs."""
    early_share: float = bounded(0.1, 0, 0.2, matters=False)
    """Of the time limit, for a first network that is trained and exported before everything else; 0 for none."""
