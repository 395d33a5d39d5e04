"""Quantization-aware layers, their switch, and the gradient transform of QAT."""

from frostnas.quant.averages import plain_averages
from frostnas.quant.fake_quant import (
    ActivationQuantizer,
    InputQuantizer,
    QTensor,
    QuantState,
    RangeError,
    Scheme,
    check_ranges,
    fake_quantize_weight,
    set_state,
    weight_scale,
)
from frostnas.quant.gradboost import GradBoost
from frostnas.quant.layer import Layer
from frostnas.quant.layers import (
    Add,
    Concat,
    ConvBN,
    Dropout,
    GlobalAveragePool,
    HardSwish,
    IntegerConv,
    MaxPool,
    Multiply,
)
from frostnas.quant.window import Window

__all__ = [
    "ActivationQuantizer",
    "Add",
    "Concat",
    "ConvBN",
    "Dropout",
    "GlobalAveragePool",
    "GradBoost",
    "HardSwish",
    "InputQuantizer",
    "IntegerConv",
    "Layer",
    "MaxPool",
    "Multiply",
    "QTensor",
    "QuantState",
    "RangeError",
    "Scheme",
    "Window",
    "check_ranges",
    "fake_quantize_weight",
    "plain_averages",
    "set_state",
    "weight_scale",
]
