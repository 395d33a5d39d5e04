"""The phases of a search: one, or three in which the space shrinks and the proxy network deepens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from frostnas.artifacts import BlockSpec, NetSpec
from frostnas.config import ProxyConfig, SearchBlockConfig
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.spaces.block import BlockSpace

PROGRESSIVE_PHASES = 3  # P-DARTS, section 3.2


@dataclass(frozen=True)
class SearchPhase:
    """A search of one space in one proxy network."""

    number: int
    space: BlockSpace
    kept: Mapping[str, tuple[int, ...]]
    """Slot -> positions of this space's candidates in the whole space."""
    proxy: NetSpec
    float_epochs: int
    epochs: int


def phase_count(search: SearchBlockConfig) -> int:
    """Phases that the search has; never one without an epoch."""
    return min(PROGRESSIVE_PHASES, search.epochs) if search.progressive else 1


def phase_epochs(search: SearchBlockConfig, number: int) -> int:
    """Search epochs of a phase: an equal share, the earlier ones take what is left over."""
    count = phase_count(search)
    return search.epochs // count + (number < search.epochs % count)


def deepened(proxy: ProxyConfig, number: int) -> ProxyConfig:
    """The proxy network of a phase: one layer more per stage and phase."""
    return replace(proxy, depths=[depth + number for depth in proxy.depths])


def make_phase(
    search: SearchBlockConfig,
    whole: BlockSpace,
    kept: Mapping[str, tuple[int, ...]],
    number: int,
    image_size: int,
    classes: int,
) -> SearchPhase:
    proxy = proxy_spec(deepened(search.proxy, number), BlockSpec(), image_size, classes)
    return SearchPhase(number, whole.restricted(kept), kept, proxy, search.float_epochs, phase_epochs(search, number))


def survivors(
    kept: Mapping[str, tuple[int, ...]], probabilities: Mapping[str, tuple[float, ...]], number: int, phases: int
) -> dict[str, tuple[int, ...]]:
    """Candidates of every slot for phase ``number``: the likeliest ones, two at least in the last phase.

    The number shrinks evenly from all to two over the phases.
    """
    result = {}
    for slot, places in kept.items():
        left = phases - number  # phases still to come, this one included
        target = min(len(places), max(2, 2 + (len(places) - 2) * (left - 1) // max(left, 1)))
        ranked = sorted(range(len(places)), key=lambda at: -probabilities[slot][at])
        result[slot] = tuple(places[at] for at in sorted(ranked[:target]))
    return result
