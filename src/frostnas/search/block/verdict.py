"""What the architecture weights say, and what speaks against believing them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from frostnas.artifacts import BlockHistoryRow, BlockSpec, SeedResult, SlotResult
from frostnas.nets.ops import SPATIAL
from frostnas.quant import Scheme
from frostnas.search.spaces.block import BlockSpace, block_code, block_name, label

Probabilities = Mapping[str, tuple[float, ...]]
CLEAR_MARGIN = 0.1  # in probability
UNDECIDED_ENTROPY = 0.98  # of the entropy of equal probabilities
LARGE_GAP = 0.1  # in top-1 between the mixture and the block cut out of it


def margin(probabilities: Sequence[float]) -> float:
    """The largest minus the second largest; 1 for a single candidate."""
    ranked = sorted(probabilities, reverse=True)
    return ranked[0] - ranked[1] if len(ranked) > 1 else 1.0


def entropy(probabilities: Sequence[float]) -> float:
    """0 for one certain candidate, 1 for all equally likely."""
    if len(probabilities) < 2:
        return 0.0
    return -sum(p * math.log(p) for p in probabilities if p > 0) / math.log(len(probabilities))


def average(runs: Sequence[Probabilities]) -> dict[str, tuple[float, ...]]:
    """Slot -> mean over several searches."""
    return {
        slot: tuple(sum(column) / len(runs) for column in zip(*(run[slot] for run in runs), strict=True))
        for slot in runs[0]
    }


def slot_results(space: BlockSpace, block: BlockSpec, seeds: Sequence[SeedResult]) -> tuple[SlotResult, ...]:
    """How every slot of ``block`` was decided by the searches."""
    mean = average([seed.probabilities for seed in seeds])
    results = []
    for (slot, candidates), at in zip(space.slots.items(), space.encode(block), strict=True):
        others = [p for number, p in enumerate(mean[slot]) if number != at]
        lead = mean[slot][at] - max(others) if others else 1.0
        agreeing = sum(getattr(seed.block, slot) == candidates[at] for seed in seeds)
        names = tuple(map(label, candidates))
        results.append(
            SlotResult(slot, names[at], names, mean[slot], lead, lead >= CLEAR_MARGIN, agreeing / len(seeds))
        )
    return tuple(results)


def warnings(
    slots: Sequence[SlotResult], history: Sequence[BlockHistoryRow], seeds: Sequence[SeedResult]
) -> tuple[str, ...]:
    """The known failures of DARTS that this search shows, one line each."""
    found = []
    for slot in slots:
        if slot.margin < 0:
            found.append(
                f"{slot.slot}: {slot.choice} was better when trained alone; the architecture weights prefer another "
                f"candidate by {-slot.margin:.3f} in probability"
            )
        elif not slot.clear:
            found.append(f"{slot.slot}: no clear winner; {slot.choice} leads by {slot.margin:.3f} in probability")
        if slot.agreement < 1:
            found.append(f"{slot.slot}: {slot.agreement:.0%} of {len(seeds)} seeds chose {slot.choice}")
        if slot.slot == "spatial" and len(slot.candidates) > 1 and is_free(slot.choice):
            found.append(f"spatial: collapsed onto {slot.choice}, which has no parameters")
    for seed in seeds:
        rows = [row for row in history if row.seed == seed.seed]
        last = rows[-1]
        if last.phase == "search" and all(value > UNDECIDED_ENTROPY for value in last.entropy.values()):
            found.append(f"seed {seed.seed}: the architecture hardly moved; search longer or raise arch_lr")
        if last.top1_mixed is not None and last.top1_mixed - last.top1_path > LARGE_GAP:
            found.append(
                f"seed {seed.seed}: the supernet reaches {last.top1_mixed:.3f} but the block cut out of it "
                f"{last.top1_path:.3f} (discretization gap)"
            )
        if block_code(seed.own) != last.block:
            found.append(
                f"seed {seed.seed}: the architecture weights end with {last.block}, which is not the best alone"
            )
        if seed.block != seed.own:
            own, won = block_code(seed.own), block_code(seed.block)
            found.append(
                f"seed {seed.seed}: {block_name(seed.block)} is a published block; the search's own best, {own}, "
                f"scored {seed.finals[own]:.3f} beside its {seed.finals[won]:.3f} (lower is better)"
            )
    return tuple(found)


def is_free(spatial: str) -> bool:
    """Whether a spatial candidate has no parameters, the kind that DARTS collapses onto."""
    return next(SPATIAL[spatial](8, 1, "none", Scheme()).parameters(), None) is None
