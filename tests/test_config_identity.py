"""What changes a result changes its identity, and what does not leaves it alone."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pytest

from frostnas.artifacts import Provenance
from frostnas.config import Config
from frostnas.config.stages import OtherTarget
from frostnas.pipeline import CHAIN, STAGES
from frostnas.pipeline.origin import changes, identity_of

NO_DIFFERENCE = {
    "run_dir", "device", "logger", "checkpoint_s", "peer_timeout_s", "block", "net", "table", "host", "target_cpu",
    "time_limit", "memory_limit", "data.usual_size",
    "data.root", "data.download", "data.strict", "data.workers", "data.in_memory_mb",
    "latency.target.port", "latency.target.ssh_config", "latency.target.python", "latency.target.folder",
    "latency.target.patience_s", "latency.target.out", "latency.target.results",
    "budget.others.0.table", "train.weights", "train.distill.teacher", "train.distill.weights",
    "search_net.distill.teacher", "search_net.distill.weights", "parent.net", "parent.weights",
}  # fmt: skip
"""Where things are, how long to wait for them, what is hashed by its content, and what only chooses other settings."""


def a_config() -> Config:
    config = Config()
    config.budget.others = [OtherTarget()]
    return config


def leaves(value: Any, key: str = "") -> Iterator[str]:
    """Every key of a config that holds a value of its own."""
    if is_dataclass(value):
        for item in fields(value):
            yield from leaves(getattr(value, item.name), f"{key}.{item.name}".lstrip("."))
    elif isinstance(value, list) and value and is_dataclass(value[0]):
        yield from leaves(value[0], f"{key}.0")
    else:
        yield key


def other(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}_"
        case Enum():
            return next(one for one in type(value) if one is not value)
        case list():
            return [*value, value[0]] if value else [1]
        case _:
            return "something"


def changed(key: str) -> Config:
    """A config that differs from `a_config` in one key."""
    config = deepcopy(a_config())
    *names, last = key.split(".")
    part: Any = config
    for name in names:
        part = part[int(name)] if name.isdigit() else getattr(part, name)
    setattr(part, last, other(getattr(part, last)))
    return config


def identities(config: Config) -> dict[str, str]:
    return {
        stage.name: identity_of(stage.name, Provenance(stage.settings(config)), stage.beside)  # type: ignore[arg-type]
        for stage in STAGES.values()
    }


@pytest.mark.parametrize("key", list(leaves(a_config())))
def test_a_field_changes_an_identity_unless_it_makes_no_difference(key: str) -> None:
    before, after = identities(a_config()), identities(changed(key))
    matters = {name for name in before if before[name] != after[name]}
    nothing = key in NO_DIFFERENCE or key.startswith("plan.")  # of which the chosen settings are hashed
    if nothing or key == "search_net.baselines":  # these are added beside what the search finds
        assert not matters
    else:
        assert matters


@pytest.mark.parametrize(
    ("key", "stages"),
    [
        ("seed", {"search-block", "profile-latency", "search-net", "train"}),
        ("data.image_size", {"search-block", "profile-latency", "search-net", "train"}),
        ("data.augment.flip", {"search-block", "search-net", "train"}),
        ("quant.averaging", {"search-block", "search-net", "train"}),
        ("quant.weight_bits", {"search-block", "profile-latency", "search-net", "train"}),
        ("latency.rounds", {"search-block", "profile-latency", "export"}),
        ("search_net.epochs", {"search-net"}),
        ("budget.fraction", {"search-net"}),
        ("train.distill.mean", {"train"}),
        ("export.formats", {"export"}),
    ],
)
def test_a_field_changes_the_stages_that_read_it_and_no_other(key: str, stages: set[str]) -> None:
    before, after = identities(a_config()), identities(changed(key))
    chain = {stage.name for stage in CHAIN}
    assert {name for name in chain if before[name] != after[name]} == stages


def test_a_key_that_differs_is_named_with_both_values_and_so_is_an_input() -> None:
    old = Provenance({"train": {"epochs": 2, "optim": {"lr": 0.1}}}, {"net": "a", "gone": "x"})
    new = Provenance({"train": {"epochs": 3, "optim": {"lr": 0.1}}}, {"net": "b"})
    assert changes(old, new) == ["train.epochs (2, now 3)", "input gone", "input net"]
    assert changes(old, old) == []
