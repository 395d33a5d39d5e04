"""Ranges as plain averages over some batches, in place of moving ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import nn

from frostnas.quant.fake_quant import ActivationQuantizer


@contextmanager
def plain_averages(model: nn.Module) -> Iterator[Callable[[float], None]]:
    """Forget the ranges of ``model``'s quantizers; after the block they move as before.

    Gives the function that sets the weight of the newest batch: 1, 1/2, 1/3, … make plain averages.
    """
    quantizers = [module for module in model.modules() if isinstance(module, ActivationQuantizer) and not module.fixed]
    schemes = [quantizer.scheme for quantizer in quantizers]

    def weigh(weight: float) -> None:
        for quantizer, scheme in zip(quantizers, schemes, strict=True):
            quantizer.scheme = replace(scheme, averaging=weight)

    for quantizer in quantizers:
        quantizer.started.fill_(False)
    try:
        yield weigh
    finally:
        for quantizer, scheme in zip(quantizers, schemes, strict=True):
            quantizer.scheme = scheme
