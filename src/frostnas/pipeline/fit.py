"""A network space that holds the latency budget: measured where `space.network.fit` and `budget.latency_ms` meet."""

from __future__ import annotations

from dataclasses import replace

from frostnas.artifacts import Provenance, load, save
from frostnas.artifacts.space import FittedSpace
from frostnas.config import Config
from frostnas.errors import InputError
from frostnas.latency.nets import measure_nets
from frostnas.nets import NAMED_BLOCKS
from frostnas.pipeline.session import Session
from frostnas.pipeline.sizes import measurable
from frostnas.search.net.resources import ResourceCounter
from frostnas.search.spaces.fit import LEAST, MOST, fitted, skeleton_text
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

SPACE = "space.json"
NEAR = 0.05
"""Share by which the budget must be above the fastest network: it was measured once, and may take longer later."""


def fit_space(session: Session) -> None:
    """Give the session the space that fits its images and its budget, and say what it is.

    With a budget the fastest and the slowest network are measured, and all widths made smaller or larger where it lies
    outside; what was chosen is kept in `space.json`, by which the same command goes on.

    Raises:
        InputError: no skeleton for images of this size holds the budget.
    """
    if not session.given.space.network.fit or session.config.parent.net is not None:
        return
    if measurable(session.config):
        chosen = _kept(session) or _chosen(session)
        if session.workspace.writes:
            save(session.path(SPACE), chosen, Provenance())
        session.config = _with(session.given, session.config, chosen.factor)
    said = skeleton_text(session.config.space.network)
    session.workspace.say(f"space: for images of {session.config.data.side} pixels: {said}")


def _with(given: Config, config: Config, factor: float) -> Config:
    network = fitted(given.space.network, config.data.side, factor)
    return replace(config, space=replace(config.space, network=network))


def _kept(session: Session) -> FittedSpace | None:
    """What was chosen for this size and budget before."""
    path = session.path(SPACE)
    found = load(path, FittedSpace).value if path.is_file() else None
    wanted = (session.config.data.side, session.config.budget.latency_ms)
    return found if found is not None and (found.image_size, found.budget_ms) == wanted else None


def _chosen(session: Session) -> FittedSpace:
    config, budget_ms = session.config, session.config.budget.latency_ms
    assert budget_ms is not None
    size, factor, tried = config.data.side, 1.0, dict[float, tuple[float, float]]()
    while LEAST <= factor <= MOST and factor not in tried:
        fastest_ms, slowest_ms = _extremes(session, factor)
        if fastest_ms * (1 + NEAR) <= budget_ms <= slowest_ms:
            return FittedSpace(size, budget_ms, factor, fastest_ms, slowest_ms)
        tried[factor] = fastest_ms * (1 + NEAR), slowest_ms
        factor *= 2 if budget_ms > slowest_ms else 0.5
    low, high = min(one[0] for one in tried.values()), max(one[1] for one in tried.values())
    raise InputError(
        f"budget.latency_ms={budget_ms:g}: networks for images of {size} pixels take {low:.4g} to {high:.4g} ms on "
        f"this target; expected a budget between, a {'smaller' if budget_ms < low else 'larger'} data.image_size, or "
        "space= of your own"
    )


def _extremes(session: Session, factor: float) -> tuple[float, float]:
    """Latency of the networks of least and most multiply-adds, ms."""
    config, images = session.config, session.data.format
    block = session.block if config.block is not None else NAMED_BLOCKS["frost"]
    network = _with(session.given, config, factor).space.network
    skeleton = from_scratch(network, block, [images.image_size], len(images.classes))
    space, macs = NetworkSpace(skeleton), ResourceCounter().macs
    ends = [space.trellis.cheapest(macs, dearest=dearest)[0] for dearest in (False, True)]
    fastest_ms, slowest_ms = measure_nets(
        config.latency, config.quant, [space.decode(space.from_path(end)) for end in ends]
    )
    return fastest_ms, slowest_ms
