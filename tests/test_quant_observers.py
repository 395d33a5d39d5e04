"""Ranges that leave outliers out hold the rest better."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from frostnas.config import Observer
from frostnas.quant import ActivationQuantizer, InputQuantizer, QuantState, RangeError, Scheme
from frostnas.quant.observers import SAMPLED, Ends, ends, sample

INFINITE = float("inf")


def activations(outlier: float = 0.0, floor: float = -INFINITE) -> Tensor:
    """Normal activations (8, 24, 16, 16), channels_last, with a few outliers at the high end."""
    x = torch.randn(8, 24, 16, 16, generator=torch.Generator().manual_seed(0))
    if outlier:
        x[0, 0, 0, :3] = outlier
    return x.clamp(min=floor).contiguous(memory_format=torch.channels_last)


def found(x: Tensor, observer: Observer, floor: float = -INFINITE, ceiling: float = INFINITE) -> Ends:
    return ends(x, floor, ceiling, observer, 255)


def error(x: Tensor, observer: Observer) -> float:
    """Root mean squared error of the quantized activations."""
    quantizer = ActivationQuantizer(Scheme(observer=observer))
    quantizer.state = QuantState.OBSERVE
    quantizer(x)
    quantizer.state = QuantState.FROZEN
    return float((quantizer(x).value - x).square().mean().sqrt())


def test_minmax_holds_the_extremes() -> None:
    x = activations(outlier=100.0)
    low, high = found(x, Observer.minmax)
    assert (low, high) == (x.min(), x.max())


def test_a_percentile_leaves_a_few_outliers_out() -> None:
    low, high = found(activations(outlier=1000.0), Observer.percentile)
    assert -5 < low < -2
    assert 2 < high < 5


def test_the_least_error_is_less_than_that_of_the_extremes_where_tails_are_heavy() -> None:
    x = activations() ** 3
    assert error(x, Observer.mse) < error(x, Observer.minmax) * 0.99
    assert error(activations(), Observer.mse) <= error(activations(), Observer.minmax) * 1.01


@pytest.mark.parametrize("observer", Observer)
def test_behind_a_relu_the_low_end_is_zero_and_relu6_ends_at_six(observer: Observer) -> None:
    x = activations() * 4
    low, high = found(x, observer, floor=0.0, ceiling=6.0)
    assert low == 0
    assert high <= 6 or observer is Observer.minmax  # the quantizer itself cuts the extremes


@pytest.mark.parametrize("observer", Observer)
@pytest.mark.parametrize("bad", [float("nan"), INFINITE])
def test_a_broken_batch_is_found_by_every_observer(observer: Observer, bad: float) -> None:
    x = activations()
    x[3, 2, 1, 0] = bad
    quantizer = ActivationQuantizer(Scheme(observer=observer))
    quantizer.state = QuantState.OBSERVE
    with pytest.raises(RangeError):
        quantizer(x)


@pytest.mark.parametrize("channels", [1, 24, 96, 1280])
def test_a_sample_has_all_channels(channels: int) -> None:
    x = torch.arange(channels).view(1, 1, 1, channels).expand(64, 16, 16, channels).contiguous()
    chosen = sample(x)
    assert SAMPLED / 4 < len(chosen) <= SAMPLED * 2
    assert len(chosen.unique()) == channels


def test_pixels_keep_their_whole_range() -> None:
    quantizer = InputQuantizer(Scheme(observer=Observer.percentile))
    quantizer.state = QuantState.OBSERVE
    x = torch.zeros(1, 3, 64, 64)
    x[0, 0, 0, 0] = 2.5
    quantizer(x)
    assert quantizer.high == 2.5
