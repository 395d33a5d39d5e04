"""What fits a time limit: a pure function of the config with its floors, of what was measured and of the time left.

One share between the floors (0) and the config's own settings (1) holds for all stages but the block search, which gets
what they leave over: a published block is good enough where time is short. So a longer limit never takes anything away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from frostnas.config import Config, OptimizerName
from frostnas.config.identity import part
from frostnas.report.units import roughly

SEARCH_BLOCK, PROFILE, PARENT, SEARCH_NET = "search-block", "profile-latency", "train-parent", "search-net"
TRAIN, EXPORT = "train", "export"
GROUPS = {SEARCH_BLOCK: "search_block", PROFILE: "latency", SEARCH_NET: "search_net", TRAIN: "train"}
"""Stage -> config group of the settings that a plan chooses."""
SHARING = ("ladder",)
"""Stages that hand their time on to planned commands below them."""
SHARES = 64
"""Steps between floors and ceilings."""
WORTH = 1 / 4
"""Of the time: what batches twice as large must save."""
LEAST_STEPS = 8
"""Of an epoch: no batch becomes so large that there are fewer."""
BATCHES = ("search_net", "train")
"""Groups whose batches may grow."""
Seconds = Callable[[str, Config], float]
"""(stage, config) -> how long the stage takes with it."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What was chosen for one limit."""

    config: Config
    """With the chosen settings."""
    seconds: Mapping[str, float]
    """Of every stage that runs, in order."""
    dropped: tuple[str, ...]
    """Stages that do not run."""
    fits: bool
    """Whether all of it ends within the time; if not, everything is at its floor."""
    complete: bool
    """Whether nothing but the block search is below its ceilings."""


def floors(config: Config, stage: str) -> dict[str, int]:
    """Config key -> the least that a plan chooses for it."""
    group = GROUPS.get(stage)
    if group is None:
        return {}
    least, own = getattr(config.plan, group), getattr(config, group)
    found = {item.name: min(getattr(least, item.name), getattr(own, item.name)) for item in fields(least)}
    if stage == SEARCH_NET:
        found["epochs"] = max(found["epochs"], own.alone)
    return {f"{group}.{name}": value for name, value in found.items()}


def ceilings(config: Config, stage: str) -> dict[str, int]:
    """Config key -> the most that a plan chooses for it: what the config says."""
    return settings_of(config, floors(config, stage))


def settings_of(config: Config, keys: Collection[str]) -> dict[str, Any]:
    """The values of dotted keys."""
    return {key: part(config, key) for key in keys}


def with_settings(config: Config, settings: Mapping[str, float]) -> Config:
    """``config`` with the values of dotted keys."""
    for key, value in settings.items():
        config = _with(config, key.split("."), value)
    return config


def _with(config: Any, names: Sequence[str], value: float) -> Any:
    first, *rest = names
    return replace(config, **{first: _with(getattr(config, first), rest, value) if rest else value})


def batch_keys(stage: str) -> list[str]:
    """The settings of a stage's batches that a plan may change."""
    group = GROUPS.get(stage)
    return [f"{group}.batch_size", f"{group}.optim.lr"] if group in BATCHES else []


def grown_batch(given: Config, config: Config, stage: str) -> dict[str, float]:
    """What a plan has made of a stage's batches; empty where they stayed as they were."""
    own, now = (settings_of(one, batch_keys(stage)) for one in (given, config))
    return {} if own == now else now


def larger_batches(config: Config, stages: Collection[str], seconds: Seconds, images: int) -> Config | None:
    """``config`` with batches twice as large, and as much higher learning rates for the same progress per epoch
    (Goyal et al. 2017; for Adam's steps of fixed length the root of it); None where that saves too little or none may.

    Args:
        images: to train on.
    """
    grown: dict[str, float] = {}
    for size_key, lr_key in filter(None, map(batch_keys, stages)):
        size, lr = 2 * part(config, size_key), part(config, lr_key)
        if size <= min(config.plan.largest_batch, images // LEAST_STEPS):
            sgd = part(config, lr_key.replace(".lr", ".name")) == OptimizerName.sgd.name
            grown |= {size_key: size, lr_key: lr * (2 if sgd else 2**0.5)}
    larger = with_settings(config, grown)
    before, after = (sum(seconds(stage, one) for stage in stages if batch_keys(stage)) for one in (config, larger))
    return larger if grown and after <= (1 - WORTH) * before else None


def between(config: Config, stage: str, share: float) -> Config:
    """``config`` with the settings of a stage at a share of the way from their floors to their ceilings."""
    low, high = floors(config, stage), ceilings(config, stage)
    return with_settings(config, {key: low[key] + int(share * (high[key] - low[key])) for key in low})


def fit(config: Config, stages: Sequence[str], seconds: Seconds, time_s: float) -> Fit:
    """The most of ``stages`` that ends within ``time_s``.

    Args:
        config: its settings are the most.
        stages: those that are still to run, in order.
        seconds: must not fall when a setting grows.
    """
    others = [stage for stage in stages if stage != SEARCH_BLOCK]
    chosen, share = _largest(config, others, seconds, time_s)
    costs = {stage: seconds(stage, chosen) for stage in others}
    left_s, fits = time_s - sum(costs.values()), share is not None
    complete = share == 1.0
    if SEARCH_BLOCK not in stages:
        return Fit(chosen, costs, (), fits, complete)
    searched, own = _largest(chosen, [SEARCH_BLOCK], seconds, left_s)
    if not complete or own is None:
        return Fit(chosen, costs, (SEARCH_BLOCK,), fits, complete)
    return Fit(searched, {stage: seconds(stage, searched) for stage in stages}, (), fits, complete)


def _largest(config: Config, stages: Sequence[str], seconds: Seconds, time_s: float) -> tuple[Config, float | None]:
    """The largest share with which the stages end in time; None, and everything at its floor, where there is none."""
    found: tuple[Config, float | None] | None = None
    for step in range(SHARES + 1):
        chosen = config
        for stage in stages:
            chosen = between(chosen, stage, step / SHARES)
        fits = sum(seconds(stage, chosen) for stage in stages) <= time_s
        if found is None or fits:
            found = chosen, (step / SHARES if fits else None)
        if not fits:
            break
    assert found is not None
    return found


def left_out(given: Config, fitted: Fit, seconds: Seconds) -> tuple[str, ...]:
    """What more time would add, a sentence each."""
    found = []
    for stage in fitted.dropped:
        more = roughly(seconds(stage, between(given, stage, 0.0)))
        found.append(f"{stage}: the block is taken as published; to search one takes {more} more")
    for stage in fitted.seconds:
        now, most = settings_of(fitted.config, floors(given, stage)), ceilings(given, stage)
        less = [f"{key} {now[key]} of {most[key]}" for key in now if now[key] < most[key]]
        if less:
            found.append(f"{stage}: {', '.join(less)}")
    return tuple(found)
