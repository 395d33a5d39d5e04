"""A look inside an exported network: how much each layer loses by its integer grid, and what the file gets wrong."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from frostnas.artifacts import Confusion, ImageFormat, Inspection, LayerHealth, ShownImage
from frostnas.data import Images
from frostnas.deploy.formats.base import Classifier
from frostnas.deploy.parity import Reference
from frostnas.nets import Net
from frostnas.quant import ActivationQuantizer, QuantState, set_state
from frostnas.quant.fake_quant import LEVELS

LAYER_IMAGES = 16  # that layers are looked at on
SAMPLED = 2**14  # activations of one layer that are looked at
TAIL = 0.001  # share of them beyond either end of their bulk
SHOWN, SHOWN_SIDE = 12, 96  # pictures in the report, and their greatest side in pixels
CANDIDATES = 256  # right images among which the least sure are looked for
MOST_DB = 100.0  # of a layer without any error


def inspect(
    net: Net, model: Classifier, named: NDArray[np.int64], test: Images, reference: Reference, images: ImageFormat
) -> Inspection:
    """What the report shows of an exported network.

    Args:
        net: the network in evaluation mode, `FROZEN`; left so.
        model: its INT8 file.
        named: the class that the file names for every test image, int64 (N,).
    """
    pixels = _pixels(test, np.arange(min(LAYER_IMAGES, len(test))))
    cells, counts = np.unique(np.stack([reference.labels, named]), axis=1, return_counts=True)
    return Inspection(
        classes=images.classes,
        images=len(test),
        layers=tuple(layer_health(net, pixels)),
        layer_images=len(pixels),
        confusion=tuple(
            Confusion(int(true), int(said), int(n)) for (true, said), n in zip(cells.T, counts, strict=True)
        ),
        shown=tuple(_shown(model, named, test, reference.labels, images)),
    )


def layer_health(net: Net, pixels: Tensor) -> Iterator[LayerHealth]:
    """Every quantizer in the order of data flow, by a pass in floating point and one on the grid.

    Args:
        net: in evaluation mode, `FROZEN`; left so.
        pixels: float32 (N, 3, S, S), normalised.
    """
    with _watched(net) as plain:
        set_state(net, QuantState.FLOAT)
        net(pixels)
    with _watched(net) as rounded:
        set_state(net, QuantState.FROZEN)
        net(pixels)
    quantizers = {one.name: one for one in net.modules() if isinstance(one, ActivationQuantizer)}
    for name, (inputs, outputs) in rounded.items():
        yield _health(quantizers[name], plain[name][1], inputs, outputs)


def _health(quantizer: ActivationQuantizer, plain: Tensor, inputs: Tensor, outputs: Tensor) -> LayerHealth:
    """Of samples, each (M,): the output in floating point; what went into the quantizer, and what came out."""
    scale, zero = quantizer.scale.item(), quantizer.zero.item()
    low, high = (0 - zero) * scale, (LEVELS - zero) * scale
    half = scale / 2  # it still rounds into the grid
    inside = inputs.clamp(quantizer.floor, quantizer.ceiling)
    tail = int(TAIL * len(plain))
    signal, noise = plain.square().sum().item(), (plain - outputs).square().sum().item()
    return LayerHealth(
        layer=quantizer.name.removesuffix(".quantizer"),
        low=low,
        high=high,
        bulk_low=plain.kthvalue(1 + tail).values.item(),
        bulk_high=plain.kthvalue(len(plain) - tail).values.item(),
        saturated=float(((inside < low - half) | (inside > high + half)).float().mean()),
        snr_db=_decibels(signal, noise),
    )


def _decibels(signal: float, noise: float) -> float:
    """Within ±`MOST_DB`, so that a layer without signal or without noise has a figure, too."""
    if noise == 0:
        return MOST_DB
    return max(-MOST_DB, min(MOST_DB, 10 * math.log10(signal / noise))) if signal else -MOST_DB


@contextmanager
def _watched(net: Net) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Of each quantizer's name, samples of its input and output in the passes within the block, each (M,)."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def look(module: nn.Module, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        assert isinstance(module, ActivationQuantizer)
        seen[module.name] = (_sample(inputs[0]), _sample(output[0]))

    hooks = [one.register_forward_hook(look) for one in net.modules() if isinstance(one, ActivationQuantizer)]
    try:
        with torch.inference_mode():
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _sample(x: Tensor) -> Tensor:
    """The same places of equally large tensors, float32 (M,) on the CPU."""
    x = x.reshape(-1)
    if len(x) > SAMPLED:
        x = x[torch.randint(len(x), (SAMPLED,), generator=torch.Generator().manual_seed(0)).to(x.device)]
    return x.float().cpu()


def _shown(
    model: Classifier, named: NDArray[np.int64], test: Images, labels: NDArray[np.int64], images: ImageFormat
) -> Iterator[ShownImage]:
    wrong, right = np.flatnonzero(named != labels), np.flatnonzero(named == labels)[:CANDIDATES]
    surest = _by_probability(model, test, named, wrong)[::-1]
    others = _by_probability(model, test, named, right)
    for position, probability in [*surest, *others][:SHOWN]:
        png = _png(_pixels(test, np.array([position]))[0], images)
        yield ShownImage(position, int(labels[position]), int(named[position]), probability, png)


def _by_probability(
    model: Classifier, test: Images, named: NDArray[np.int64], where: NDArray[np.int64]
) -> list[tuple[int, float]]:
    """Positions with the probability of the class that is named, the least first."""
    found: list[tuple[int, float]] = []
    for start in range(0, len(where), CANDIDATES):
        some = where[start : start + CANDIDATES]
        logits = model.logits(_pixels(test, some).cpu().numpy()).astype(np.float64)
        grown = np.exp(logits - logits.max(1, keepdims=True))
        chances = grown[np.arange(len(some)), named[some]] / grown.sum(1)
        found += zip(some.tolist(), chances.tolist(), strict=True)
    return sorted(found, key=lambda one: (one[1], one[0]))


def _pixels(test: Images, where: NDArray[np.int64]) -> Tensor:
    """Images at positions, float32 (N, 3, S, S), normalised."""
    return torch.cat([pixels for pixels, _ in test.subset(torch.from_numpy(where)).batches(len(where))])


def _png(pixels: Tensor, images: ImageFormat) -> str:
    """(3, S, S), normalised -> a small PNG, base64."""
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (images.mean, images.std))
    colours = ((pixels.float().cpu() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    picture = Image.fromarray(colours.permute(1, 2, 0).numpy())
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    content = io.BytesIO()
    picture.save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
