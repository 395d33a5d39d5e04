"""The whole config, typed: what `conf/` is composed into."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from frostnas.config.data import DataConfig
from frostnas.config.fields import bounded, place
from frostnas.config.parent import ParentConfig
from frostnas.config.plan import PlanConfig
from frostnas.config.quant import QuantConfig
from frostnas.config.space import SpaceConfig
from frostnas.config.stages import (
    BudgetConfig,
    ExportConfig,
    LadderConfig,
    LatencyConfig,
    SearchBlockConfig,
    SearchNetConfig,
    TrainConfig,
)


class Device(Enum):
    """Where networks are trained; `auto` takes CUDA if there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Logger(Enum):
    """Where the figures of every epoch go besides `metrics/*.csv`."""

    none = "none"
    tensorboard = "tensorboard"


@dataclass
class Config:
    """Everything that a command can be told with KEY=VALUE."""

    run_dir: str = place("runs/digits")
    seed: int = bounded(0, 0, 2**31 - 1)
    device: Device = place(Device.auto)
    logger: Logger = place(Logger.none)
    """`tensorboard` (an extra): event files in run_dir/tensorboard."""
    checkpoint_s: float = bounded(20.0, 0, matters=False)
    """Work that a killed run may lose, s."""
    peer_timeout_s: float = bounded(600.0, 1, matters=False)
    """Several processes: how long one waits for another that is silent before the job ends, s."""
    block: str | None = place(None)
    """Path of a block.json or a named block; null: block.json in run_dir if it is there, else `frost`."""
    net: str | None = place(None)
    """Path of a net.json or of its folder, such as RUN/front/3, or a zoo name; null: net.json in run_dir."""
    table: str | None = place(None)
    """Path of a latency.json; null: the one in run_dir."""
    host: str = place("")
    """Of `latency/target=ssh`: what the ssh command takes, a host of its config or user@host."""
    target_cpu: str | None = place(None)
    """CPU of a table that was made elsewhere, or a part of its name; null: a table must be of `latency.target`."""
    time_limit: str | None = place(None)
    """For the whole command, such as 90s, 45m or 2h: settings are chosen between the floors of `plan` and their own
    values so that it ends in time; null for no limit."""
    memory_limit: str = place("80%")
    """What may be held, such as 6GB, or a share of what is free: images beyond half of it are streamed, and in a
    planned command batches go in parts to keep to it."""
    data: DataConfig = field(default_factory=DataConfig)
    space: SpaceConfig = field(default_factory=SpaceConfig)
    parent: ParentConfig = field(default_factory=ParentConfig)
    quant: QuantConfig = field(default_factory=QuantConfig)
    search_block: SearchBlockConfig = field(default_factory=SearchBlockConfig)
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    search_net: SearchNetConfig = field(default_factory=SearchNetConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    ladder: LadderConfig = field(default_factory=LadderConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    plan: PlanConfig = field(default_factory=PlanConfig)
