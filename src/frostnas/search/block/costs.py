"""What candidates cost in INT8 on the target, and the expected cost of an architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frostnas.artifacts import BlockSpec, NetSpec
from frostnas.errors import InputError
from frostnas.search.spaces.block import BlockSpace

Measure = Callable[[Sequence[NetSpec]], list[float]]
"""INT8 latency of networks in ms, one image each, in one interleaved session."""
SESSIONS = 3


@dataclass(frozen=True)
class SlotCosts:
    """Latency of the proxy network as a product over slots.

    A block's latency is taken as that of the reference block times one factor per slot: a slower spatial operation
    costs in proportion to the channels that the expansion gives it. Slots are independent, so the expectation of the
    product is the product of expectations, with an exact gradient.
    """

    reference_ms: float
    """Of the first candidate in every slot."""
    factors: Mapping[str, tuple[float, ...]]
    """Slot -> latency with each candidate over that of the reference."""

    def expected_ms(self, probabilities: Mapping[str, Tensor]) -> Tensor:
        """Expected latency, float32 (), when slots are drawn independently by these (candidates,) weights."""
        total = torch.tensor(self.reference_ms)
        for slot, weights in probabilities.items():
            total = total.to(weights.device) * (weights @ weights.new_tensor(self.factors[slot]))
        return total

    def mean_ms(self) -> float:
        """Expected latency of a block drawn uniformly."""
        total = self.reference_ms
        for factors in self.factors.values():
            total *= sum(factors) / len(factors)
        return total

    def predict_ms(self, space: BlockSpace, block: BlockSpec) -> float:
        """Latency of one block's proxy network."""
        total = self.reference_ms
        for slot, at in zip(space.slots, space.encode(block), strict=True):
            total *= self.factors[slot][at]
        return total

    def restricted(self, keep: Mapping[str, tuple[int, ...]]) -> SlotCosts:
        """The costs of `BlockSpace.restricted`."""
        return SlotCosts(
            self.reference_ms, {slot: tuple(self.factors[slot][at] for at in places) for slot, places in keep.items()}
        )


def measure_costs(space: BlockSpace, proxy: Callable[[BlockSpec], NetSpec], measure: Measure) -> SlotCosts:
    """Measure the proxy network with each candidate in place of the reference's, one slot at a time.

    The least of several sessions counts: another process on the machine only ever adds time.
    """
    reference = space.decode((0,) * len(space.slots))
    variants = [
        replace(reference, **{slot: value})  # type: ignore[arg-type]
        for slot, candidates in space.slots.items()
        for value in candidates[1:]
    ]
    specs = [proxy(block) for block in (reference, *variants)]
    latencies = [min(times) for times in zip(*(measure(specs) for _ in range(SESSIONS)), strict=True)]
    if not all(latency > 0 for latency in latencies):
        raise InputError(f"latency: measured {min(latencies)} ms for a proxy network; expected positive latencies")
    base, rest = latencies[0], iter(latencies[1:])
    factors = {slot: (1.0, *(next(rest) / base for _ in candidates[1:])) for slot, candidates in space.slots.items()}
    return SlotCosts(base, factors)
