"""Typed configuration: dataclasses, Hydra composition, checks."""

from frostnas.config.data import AugmentConfig, DataConfig, DataName
from frostnas.config.optim import OptimConfig, OptimizerName, ScheduleName
from frostnas.config.parent import ParentConfig
from frostnas.config.plan import PlanConfig
from frostnas.config.quant import GradBoostConfig, GradBoostMode, Observer, QuantConfig
from frostnas.config.schema import Config, Device, Logger
from frostnas.config.space import BlockSpaceConfig, NetworkSpaceConfig, SpaceConfig
from frostnas.config.stages import (
    BudgetConfig,
    ClassWeights,
    DistillConfig,
    ExportConfig,
    GradientConfig,
    LadderConfig,
    LatencyConfig,
    Paths,
    Precision,
    ProxyConfig,
    ReinforceConfig,
    RuntimeName,
    Sampler,
    SearchBlockConfig,
    SearchNetConfig,
    Strategy,
    TargetConfig,
    TargetName,
    TrainConfig,
)

__all__ = [
    "AugmentConfig",
    "BlockSpaceConfig",
    "BudgetConfig",
    "ClassWeights",
    "Config",
    "DataConfig",
    "DataName",
    "Device",
    "DistillConfig",
    "ExportConfig",
    "GradBoostConfig",
    "GradBoostMode",
    "GradientConfig",
    "LadderConfig",
    "LatencyConfig",
    "Logger",
    "NetworkSpaceConfig",
    "Observer",
    "OptimConfig",
    "OptimizerName",
    "ParentConfig",
    "Paths",
    "PlanConfig",
    "Precision",
    "ProxyConfig",
    "QuantConfig",
    "ReinforceConfig",
    "RuntimeName",
    "Sampler",
    "ScheduleName",
    "SearchBlockConfig",
    "SearchNetConfig",
    "SpaceConfig",
    "Strategy",
    "TargetConfig",
    "TargetName",
    "TrainConfig",
]
