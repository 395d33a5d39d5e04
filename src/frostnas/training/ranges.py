"""Where the activation ranges are after an epoch, and how well the activations fill them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frostnas.data import Images
from frostnas.engine import evaluating
from frostnas.quant import ActivationQuantizer, QuantState, set_state
from frostnas.quant.fake_quant import LEVELS

IMAGES = 64  # that the activations are those of
SAMPLED = 2**13  # activations of one layer that are looked at
TAIL = 0.001  # share of them beyond either end of their bulk


@dataclass(frozen=True, slots=True)
class LayerRange:
    """One quantizer: the ends of its grid, and what a sample of activations makes of them."""

    layer: str
    low: float
    high: float
    """Values of the grid's lowest and highest level."""
    bulk_low: float
    bulk_high: float
    """Between them lie all but a thousandth of the activations at either end, after the layer's own clipping."""
    clipped: float
    """Share of the activations that the grid cuts off, as a fraction."""


def moving_quantizers(model: nn.Module) -> list[ActivationQuantizer]:
    """The quantizers whose ranges follow the activations."""
    return [module for module in model.modules() if isinstance(module, ActivationQuantizer) and not module.fixed]


def sample_pixels(images: Images) -> Tensor:
    """The first `IMAGES` images, float32 (N, 3, S, S)."""
    pixels, _ = next(images.subset(torch.arange(min(IMAGES, len(images)))).batches(IMAGES))
    return pixels


def layer_ranges(model: nn.Module, pixels: Tensor, state: QuantState) -> list[LayerRange]:
    """Every moving quantizer in the order of data flow; nothing in ``model`` changes.

    Args:
        pixels: float32 (N, 3, S, S).
        state: what the quantizers do at present, and will do afterwards.
    """
    names: list[str] = []
    figures: list[Tensor] = []

    def look(quantizer: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(quantizer, ActivationQuantizer)
        names.append(quantizer.name)
        figures.append(_figures(quantizer, inputs[0]))

    hooks = [quantizer.register_forward_pre_hook(look) for quantizer in moving_quantizers(model)]
    set_state(model, state if state.quantizes else QuantState.FLOAT)  # without observing
    try:
        with evaluating(model):
            model(pixels)
    finally:
        set_state(model, state)
        for hook in hooks:
            hook.remove()
    return [LayerRange(name, *row) for name, row in zip(names, torch.stack(figures).tolist(), strict=True)]


def _figures(quantizer: ActivationQuantizer, x: Tensor) -> Tensor:
    """The numbers of a `LayerRange` in its order, float32 (5,)."""
    x = x.permute(0, 2, 3, 1).reshape(-1) if x.dim() == 4 else x.reshape(-1)  # no copy where channels come last
    if len(x) > SAMPLED:
        x = x[torch.randint(len(x), (SAMPLED,), generator=torch.Generator().manual_seed(0)).to(x.device)]
    x = x.float().clamp(quantizer.floor, quantizer.ceiling)
    low, high = (0 - quantizer.zero) * quantizer.scale, (LEVELS - quantizer.zero) * quantizer.scale
    half = quantizer.scale / 2  # it still rounds into the grid
    tail = int(TAIL * len(x))
    bulk_low, bulk_high = (x.kthvalue(rank).values for rank in (1 + tail, len(x) - tail))
    clipped = ((x < low - half) | (x > high + half)).float().mean()
    return torch.stack([low, high, bulk_low, bulk_high, clipped])
