"""What fits a time and a memory limit: chosen without a clock, between floors and ceilings, and more with more time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.config.limits import bytes_of_limit, seconds_of
from frostnas.engine.memory import most_added
from frostnas.errors import InputError
from frostnas.pipeline import costs, plan
from frostnas.pipeline.costs import Measured, Step
from frostnas.report.units import duration, roughly

STAGES = (plan.SEARCH_BLOCK, plan.PROFILE, plan.SEARCH_NET, plan.TRAIN, plan.EXPORT)
STEPS = (costs.BLOCK_WARM, costs.BLOCK_SEARCH, costs.BLOCK_ALONE, costs.BLOCK_FOUND, costs.NET_FLOAT, costs.NET_FAKE)
STEPS = (*STEPS, costs.TRAIN_FLOAT, costs.TRAIN_FAKE)
PIECES = (costs.NET_SCORE, costs.BLOCK_LOOK, costs.TRAIN_LOOK, costs.TEST_LOOK, costs.MODEL, costs.EXPORTED)
CONFIG = Config()


def measured(step_s: float = 0.1, images: int = 1000) -> Measured:
    steps = {name: Step(step_s, 1e8, 1e6) for name in STEPS}
    return Measured(images, 10**9, steps, dict.fromkeys(PIECES, step_s), workloads=50, candidates=12)


def fitted(limit_s: float, step_s: float = 0.1) -> plan.Fit:
    return plan.fit(CONFIG, STAGES, partial(costs.seconds, measured(step_s)), limit_s)


def chosen(fit: plan.Fit, stage: str) -> dict[str, int]:
    return plan.settings_of(fit.config, plan.floors(CONFIG, stage))


limits, steps = st.floats(1, 1e6), st.floats(1e-4, 10)


@given(limits, steps)
@settings(max_examples=15)
def test_what_is_chosen_lies_between_floor_and_ceiling(limit_s: float, step_s: float) -> None:
    fit = fitted(limit_s, step_s)
    for stage in STAGES:
        low, high = plan.floors(CONFIG, stage), plan.ceilings(CONFIG, stage)
        assert all(low[key] <= value <= high[key] for key, value in chosen(fit, stage).items())


@given(limits, steps)
@settings(max_examples=15)
def test_a_plan_fits_the_limit_or_says_that_none_does(limit_s: float, step_s: float) -> None:
    fit = fitted(limit_s, step_s)
    if fit.fits:
        assert sum(fit.seconds.values()) <= limit_s
    else:
        assert all(chosen(fit, stage) == plan.floors(CONFIG, stage) for stage in STAGES[1:])
        assert sum(fit.seconds.values()) > limit_s


@given(limits, st.floats(1, 10), steps)
@settings(max_examples=15)
def test_more_time_never_takes_anything_away(limit_s: float, factor: float, step_s: float) -> None:
    less, more = fitted(limit_s, step_s), fitted(limit_s * factor, step_s)
    assert set(more.dropped) <= set(less.dropped)
    for stage in less.seconds:
        assert all(chosen(more, stage)[key] >= value for key, value in chosen(less, stage).items())


def test_without_a_limit_everything_is_as_the_config_says() -> None:
    fit = fitted(float("inf"))
    assert fit.config == CONFIG and not fit.dropped and list(fit.seconds) == list(STAGES)


def test_the_block_is_searched_only_with_time_that_nothing_else_can_use() -> None:
    whole = fitted(float("inf")).seconds
    others = sum(seconds for stage, seconds in whole.items() if stage != plan.SEARCH_BLOCK)
    fit = fitted(others + 1)
    assert fit.dropped == (plan.SEARCH_BLOCK,) and sum(fit.seconds.values()) == pytest.approx(others)
    (note,) = plan.left_out(CONFIG, fit, partial(costs.seconds, measured()))
    assert note.startswith("search-block: the block is taken as published; to search one takes")


def test_settings_that_are_less_than_a_floor_stay() -> None:
    config = compose_config(["train.epochs=2", "train.frozen_epochs=1", "search_net.generations=1"])
    fit = plan.fit(config, STAGES, partial(costs.seconds, measured()), 1.0)
    assert not fit.fits and (fit.config.train.epochs, fit.config.search_net.generations) == (2, 1)


def test_frozen_epochs_stay_fewer_than_all() -> None:
    for step in range(plan.SHARES + 1):
        train = plan.between(CONFIG, plan.TRAIN, step / plan.SHARES).train
        assert train.frozen_epochs < train.epochs


def test_a_search_takes_the_finals_besides_and_a_parent_takes_its_epochs() -> None:
    steps = {costs.NET_FAKE: Step(2.0), costs.PARENT: Step(1.0)}
    found = Measured(1280, steps=steps, pieces={costs.NET_SCORE: 3.0, costs.PARENT_LOOK: 5.0})
    config = Config()
    config.search_net = replace(config.search_net, batch_size=64, float_epochs=0, epochs=1, sandwich=1)
    plain = costs.seconds(found, plan.SEARCH_NET, config)
    config.search_net = replace(config.search_net, finals=4, final_epochs=2)
    with_finals = costs.seconds(found, plan.SEARCH_NET, config)
    assert with_finals == plain + 6 * (2 * 20 * 2.0 / 2 + 3.0)  # four, the pick and the whole one; a path of two a step
    config.parent, config.train = replace(config.parent, net="a run", epochs=3), replace(config.train, batch_size=128)
    assert costs.seconds(found, plan.SEARCH_NET, config) == with_finals
    assert costs.seconds(found, plan.PARENT, config) == 3 * (10 * 1.0 + 5.0)


def test_networks_near_the_budget_take_longer_than_the_mean_one() -> None:
    config = compose_config(["search_net.population=8", "search_net.generations=2"])
    mean, near = (Measured(0, pieces={costs.NET_SCORE: 1.0}, scored=scored) for scored in (1.0, 1.5))
    assert costs.seconds(near, plan.SEARCH_NET, config) == 1.5 * costs.seconds(mean, plan.SEARCH_NET, config) > 0


def test_a_training_takes_its_steps_and_its_looks() -> None:
    config = compose_config(["train.batch_size=100", "train.float_epochs=1", "train.epochs=3", "train.frozen_epochs=1"])
    found = Measured(1000, steps={costs.TRAIN_FLOAT: Step(1), costs.TRAIN_FAKE: Step(2)}, pieces={costs.TRAIN_LOOK: 5})
    assert costs.seconds(found, plan.TRAIN, config) == 10 * (1 + 3 * 2) + (4 + 2) * 5


def test_a_teacher_is_asked_about_as_many_views_as_there_are_epochs_at_most() -> None:
    pieces = {costs.TRAIN_VIEW: 10.0, costs.NET_VIEW: 1.0}
    asked = Measured(1000, pieces=pieces)
    few = compose_config(["train.float_epochs=2", "train.epochs=1", "train.frozen_epochs=0"])
    assert costs.seconds(asked, plan.TRAIN, few) == 30
    assert costs.seconds(asked, plan.TRAIN, CONFIG) == 100  # ten views, shown in turn
    assert costs.seconds(asked, plan.SEARCH_NET, CONFIG) == 10


def test_the_seconds_of_a_step_grow_with_its_images() -> None:
    config = compose_config(["train.batch_size=100", "train.float_epochs=1", "train.epochs=0", "train.frozen_epochs=0"])
    found = Measured(1000, steps={costs.TRAIN_FLOAT: Step(1.0, image_seconds=0.5)})
    assert costs.seconds(found, plan.TRAIN, config) == 10 * (1 + 100 * 0.5)
    double = plan.with_settings(config, {"train.batch_size": 200})
    assert costs.seconds(found, plan.TRAIN, double) == 5 * (1 + 200 * 0.5)


def test_batches_and_their_learning_rates_grow_together_up_to_the_largest() -> None:
    config = compose_config(["plan.largest_batch=200", "search_net.optim.name=adamw", "search_net.batch_size=100"])
    cheaper = partial(costs.seconds, measured())  # all of a step is what it takes whatever the batch
    larger = plan.larger_batches(config, STAGES, cheaper, images=10_000)
    assert larger is not None and (larger.search_net.batch_size, larger.train.batch_size) == (200, 128)
    assert larger.search_net.optim.lr == pytest.approx(2**0.5 * config.search_net.optim.lr)
    assert larger.train.optim.lr == pytest.approx(2 * config.train.optim.lr)
    assert plan.larger_batches(larger, STAGES, cheaper, images=10_000) is None
    assert plan.larger_batches(config, STAGES, cheaper, images=8 * 128 - 1) is None  # an epoch keeps eight steps
    assert plan.larger_batches(config, [plan.EXPORT], cheaper, images=10_000) is None


@pytest.mark.parametrize(("image_seconds", "grows"), [(0.001, True), (0.1, False)])
def test_batches_grow_where_a_step_takes_most_of_its_time_whatever_the_batch(image_seconds: float, grows: bool) -> None:
    steps = {costs.TRAIN_FLOAT: Step(0.5, image_seconds=image_seconds)}
    seconds = partial(costs.seconds, Measured(10_000, steps=steps))
    assert (plan.larger_batches(CONFIG, [plan.TRAIN], seconds, 10_000) is not None) == grows


def test_processes_share_the_images_and_the_networks_that_are_scored() -> None:
    alone, pieces = measured(), {costs.NET_SCORE: 1.0}
    config = compose_config(["search_net.population=8", "search_net.generations=2"])
    one, two = (Measured(0, pieces=pieces, processes=processes) for processes in (1, 2))
    assert costs.seconds(one, plan.SEARCH_NET, config) == 2 * costs.seconds(two, plan.SEARCH_NET, config)
    shared = replace(alone, processes=2)
    halved = costs.peak_bytes(alone, plan.TRAIN, CONFIG) - costs.peak_bytes(shared, plan.TRAIN, CONFIG)
    assert halved == CONFIG.train.batch_size // 2 * 10**6


def test_batches_go_in_as_few_parts_as_the_memory_asks_for() -> None:
    found, least = measured(), 10**9 + 10**8  # held, and what a step takes whatever its batch
    assert costs.peak_bytes(found, plan.TRAIN, CONFIG) == least + 64 * 10**6
    assert costs.micro_batches(found, plan.TRAIN, CONFIG, least + 64 * 10**6) == 1
    assert costs.micro_batches(found, plan.TRAIN, CONFIG, least + 32 * 10**6) == 2
    assert costs.micro_batches(found, plan.TRAIN, CONFIG, least) is None


def test_the_most_that_is_alive_at_one_time_is_counted() -> None:
    def work() -> None:
        one = torch.zeros(1000)
        two = one + 1
        del one
        three = two * 2
        three.add_(1)
        two.view(10, 100).sum()

    assert most_added(work, torch.device("cpu")) == pytest.approx(8000, abs=100)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45m", 2700), ("2h", 7200), ("1.5h", 5400), ("45 min", 2700)]
)
def test_a_time_limit_is_read(text: str, seconds: float) -> None:
    assert seconds_of("time_limit", text) == seconds


@pytest.mark.parametrize(
    "given_", ["time_limit=45", "time_limit=0m", "time_limit=soon", "memory_limit=120%", "memory_limit=6"]
)
def test_a_limit_that_is_none_is_refused(given_: str) -> None:
    with pytest.raises(InputError, match=f"{given_.partition('=')[0]}=.*expected a"):
        compose_config([given_])


def test_a_memory_limit_is_an_amount_or_a_share_of_what_is_free() -> None:
    assert bytes_of_limit("memory_limit", "6GB", None) == 6 * 10**9
    assert bytes_of_limit("memory_limit", "80%", 1000) == 800
    assert bytes_of_limit("memory_limit", "80%", None) is None


def test_durations_are_said_in_minutes_and_hours() -> None:
    assert (duration(75), duration(4500)) == ("1:15 min", "1:15 h")
    assert (roughly(75), roughly(600), roughly(9000)) == ("75 s", "10 min", "2.5 h")
