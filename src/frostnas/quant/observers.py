"""The range that a batch of activations asks for: its extremes, all but a tail, or that of the least rounding error."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from frostnas.config import Observer

SAMPLED = 2**14  # activations of one layer and batch that `percentile` looks at
TAIL = 5e-4
"""`percentile`: share of the activations beyond either end."""
SHARES = 40
"""`mse`: ends of the range that are tried, evenly spaced from a fifth of the extreme to all of it."""
SMALLEST_SHARE = 0.2
BINS = 2048
"""`mse`: of the histogram between the extremes that errors are summed over."""


class Ends(NamedTuple):
    """Both ends of a range, float32 ()."""

    low: Tensor
    high: Tensor


def ends(x: Tensor, floor: float, ceiling: float, observer: Observer, steps: int) -> Ends:
    """The range that one batch asks for; NaN or infinite where the batch is.

    Args:
        x: the layer's activations before [floor, ceiling] clips them, float (N, C, H, W) or any other shape.
        floor: 0 behind a ReLU, whose low end is then not looked for and 0.
        steps: of the grid between the two ends.
    """
    # A reduction over a channels-last tensor is only fast along its memory.
    flat = x.detach().permute(0, 2, 3, 1) if x.dim() == 4 else x.detach()
    one_sided = floor == 0
    extremes = Ends(flat.new_zeros(()) if one_sided else flat.amin(), flat.amax())
    if observer is Observer.minmax:
        return extremes
    if observer is Observer.percentile:
        found = _percentile(sample(flat).float().clamp(floor, ceiling), one_sided)
    else:
        found = _least_error(flat, Ends(*(one.float().clamp(floor, ceiling) for one in extremes)), one_sided, steps)
    spread = extremes.high - extremes.low
    return Ends(*(torch.where(torch.isfinite(spread), own, whole) for own, whole in zip(found, extremes, strict=True)))


def sample(flat: Tensor) -> Tensor:
    """About `SAMPLED` of the values, evenly spaced in memory but from all channels: float (M,)."""
    step = max(1, flat.numel() // SAMPLED)
    while math.gcd(step, flat.shape[-1] if flat.dim() else 1) > 1:
        step += 1
    return flat.reshape(-1)[::step]


def _percentile(values: Tensor, one_sided: bool) -> Ends:
    beyond = int(len(values) * TAIL)
    high = torch.kthvalue(values, len(values) - beyond).values
    low = torch.zeros_like(high) if one_sided else torch.kthvalue(values, beyond + 1).values
    return Ends(low, high)


def _least_error(flat: Tensor, widest: Ends, one_sided: bool, steps: int) -> Ends:
    """First the high end, with the low one where it is, then the low end."""
    low, high = widest.low.clamp(max=0.0), widest.high.clamp(min=0.0)
    # All values, not a sample: the few at the ends are what clipping costs.
    spread = (high - low).clamp(min=torch.finfo(torch.float32).tiny)
    weights = torch.histc(((flat.float() - low) / spread).clamp_(0.0, 1.0), BINS, 0.0, 1.0)
    values = low + (torch.arange(BINS, device=flat.device) + 0.5) * (spread / BINS)
    shares = torch.linspace(SMALLEST_SHARE, 1.0, SHARES, device=flat.device)
    highs = high * shares
    high = highs[_errors(values, weights, low.expand(SHARES), highs, steps).argmin()]
    if not one_sided:
        lows = low * shares
        low = lows[_errors(values, weights, lows, high.expand(SHARES), steps).argmin()]
    return Ends(low, high)


def _errors(values: Tensor, weights: Tensor, lows: Tensor, highs: Tensor, steps: int) -> Tensor:
    """Sum of squared rounding and clipping errors of weighted values (M,) on the grid of each range (R,): (R,)."""
    scale = ((highs - lows) / steps).clamp(min=torch.finfo(torch.float32).tiny).unsqueeze(1)  # (R, 1)
    lowest, highest = (torch.round(one.unsqueeze(1) / scale) for one in (lows, highs))
    levels = torch.round(values / scale).clamp(lowest, highest)  # (R, M)
    return ((levels * scale - values).square() * weights).sum(1)
