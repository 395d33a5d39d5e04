"""Sizes of images that no one has given: found from what the pictures have and from what the budget allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from frostnas.artifacts import ChosenSizes, Provenance, save
from frostnas.config import BudgetConfig
from frostnas.data.sides import Sides, sides_of
from frostnas.engine.distributed import launched
from frostnas.errors import InputError
from frostnas.latency.nets import measure_nets
from frostnas.nets import NAMED_BLOCKS
from frostnas.pipeline.session import Session
from frostnas.pipeline.sizes import SIZES, at_sizes, chooses, known_sizes, measurable
from frostnas.search.net.resources import ResourceCounter

LEAST, MOST = 32, 224  # pixels
COARSE = 96  # pixels from which on sizes are multiples of 16, below of 8
CHOICES = 5
"""Sizes at most: one table holds the workloads of all of them."""
LEFT_OVER = 0.5
"""Of the budget: images with which even the slowest network takes less are too small to be worth it."""


class Ends(NamedTuple):
    """Latency of the fastest and of the slowest network for images of one size, ms."""

    fastest: float
    slowest: float


def choose_sizes(session: Session) -> None:
    """Give the session the sizes that its search may choose from, and say what they are; kept in `sizes.json`.

    Raises:
        InputError: there are several processes, which would measure each for itself.
    """
    given, run_dir = session.given, session.workspace.run_dir
    if not chooses(given) or known_sizes(given, run_dir):
        return
    if launched().size > 1:
        raise InputError(
            "data.image_size=null: expected a size, or space.resolutions, with several processes; or the table= of a "
            "run that has chosen"
        )
    pictures, budgets = sides_of(given.data), budgets_of(given.budget)
    grid = all_sizes(pictures.shorter) or [given.data.usual_size]
    if budgets and measurable(given) and len(grid) > 1:
        sizes = worth_it(_measured(session, grid, pictures), budgets)
    else:
        sizes, budgets = spread(grid), []
    session.config = at_sizes(session.config, sizes)
    if session.workspace.writes:
        kept = ChosenSizes(tuple(sizes), pictures.shorter, max(budgets, default=None))
        save(session.path(SIZES), kept, Provenance())
    why = f" and {' and '.join(f'{budget:g} ms' for budget in budgets)}" if budgets else ""
    listed = ", ".join(map(str, sizes))
    session.workspace.say(f"space: images of {listed} pixels, for pictures of about {pictures.shorter} pixels{why}")


def budgets_of(budget: BudgetConfig) -> list[float]:
    """All latencies that are asked for of the run's own target, ms."""
    own = [budget.latency_ms, *(other.latency_ms for other in budget.others if not other.table)]
    return [one for one in own if one is not None]


def all_sizes(pictures: int) -> list[int]:
    """Sides from 32 pixels to what pictures of that many have; none where they have less."""
    sizes = [*range(LEAST, COARSE, 8), *range(COARSE, MOST + 1, 16)]
    return [size for size in sizes if size <= pictures]


def worth_it(ends: Mapping[int, Ends], budgets: Sequence[float]) -> list[int]:
    """Some of the sizes: those at which a network fits a budget, and the slowest does not leave most of it over.

    Args:
        ends: of every size, rising.
        budgets: ms, at least one.
    """
    fit = [size for size, one in ends.items() if one.fastest <= max(budgets)] or [min(ends)]
    useful = [size for size in fit if ends[size].slowest >= LEFT_OVER * min(budgets)]
    return spread(useful or [max(fit)])


def spread(sizes: Sequence[int]) -> list[int]:
    """At most `CHOICES` of them, with both ends, as evenly as they lie."""
    if len(sizes) <= CHOICES:
        return list(sizes)
    return [sizes[round(number * (len(sizes) - 1) / (CHOICES - 1))] for number in range(CHOICES)]


def _measured(session: Session, sizes: Sequence[int], pictures: Sides) -> dict[int, Ends]:
    """The ends of every size: measured for the smallest and the largest, by the number of pixels for those between."""
    block = session.block if session.config.block is not None else NAMED_BLOCKS["frost"]
    count, specs = ResourceCounter().macs, []
    low, high = sizes[0], sizes[-1]
    for size in (low, high):
        space = session.space_at([size], pictures.classes, block)
        paths = [space.trellis.cheapest(count, dearest=dearest)[0] for dearest in (False, True)]
        specs += [space.decode(space.from_path(path)) for path in paths]
    session.workspace.say(f"space: measuring networks for images of {low} and {high} pixels")
    fast, slow, fast_high, slow_high = measure_nets(session.config.latency, session.config.quant, specs)
    share = {size: (size**2 - low**2) / (high**2 - low**2) for size in sizes}
    return {
        size: Ends(fast + part * (fast_high - fast), slow + part * (slow_high - slow)) for size, part in share.items()
    }
