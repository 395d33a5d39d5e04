"""Single pieces of every stage, done with the stage's own code on the run's own images and timed: seconds in all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from statistics import mean

import torch
from torch import nn

from frostnas.artifacts import NetSpec
from frostnas.config import Config, TargetConfig, TargetName
from frostnas.data import Images, Splits, batch_count
from frostnas.data.images import Batch
from frostnas.data.views import Views
from frostnas.engine import Recipe, evaluate, predict
from frostnas.engine.distill import Lesson, answers
from frostnas.engine.distributed import World
from frostnas.engine.memory import held_bytes, most_added
from frostnas.latency.nets import measure_nets
from frostnas.nets import NAMED_BLOCKS, Net, count
from frostnas.pipeline import costs, plan
from frostnas.pipeline.adaptation import lesson_by
from frostnas.pipeline.clock import seconds_of
from frostnas.pipeline.costs import Measured, Step
from frostnas.pipeline.parent import Parent
from frostnas.pipeline.session import Session
from frostnas.pipeline.trained import TRAIN
from frostnas.pipeline.views import to_search, to_train
from frostnas.quant import QuantState, set_state
from frostnas.search.block.costs import SlotCosts
from frostnas.search.block.plan import make_phase
from frostnas.search.block.searcher import Searcher
from frostnas.search.block.trials.inside import top1_inside
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.block.trials.train import train_alone, trial_recipe
from frostnas.search.net.loop import Work
from frostnas.search.net.policy import NearPaths, NothingLearnt
from frostnas.search.net.scoring import Scorer
from frostnas.search.net.task import make_task
from frostnas.search.spaces.arch import Arch
from frostnas.search.spaces.block import BlockSpace
from frostnas.search.spaces.network import NetworkSpace
from frostnas.training.trainer import Trainer

LOOKED_AT = 256  # images that a look at all of them is judged by
TRIED = 3  # networks or steps of one kind
BLOCKS = 4
DRAWN = 12  # networks whose multiply-adds say what the mean one costs
SMALL = 8  # images of the batches that memory is judged by; twice as many in the second


def measure(
    session: Session, stages: Sequence[str], net: NetSpec | None = None, world: World | None = None
) -> Measured:
    """Seconds and bytes of the pieces that ``stages`` are made of.

    Args:
        net: what will be trained; None for one in the middle of the network space.
        world: of connected processes that measure the same, each on its part of every batch.
    """
    config, data, world = session.config, session.data, world or World()
    found = Measured(images=len(data.train), held_bytes=held_bytes(session.device), processes=world.size)
    images = data.format
    with torch.random.fork_rng():
        if plan.SEARCH_BLOCK in stages:
            found = _search_block(session, found)
        if {plan.PROFILE, plan.SEARCH_NET} & set(stages):
            space = _space(session)
            found = replace(found, workloads=len(space.workloads()))
            if plan.SEARCH_NET in stages:
                found = _search_net(session, found, space, world)
            net = net or _middle(space)
        if plan.PARENT in stages:
            found = _parent(session, found, world)
        if {plan.SEARCH_BLOCK, plan.PROFILE} & set(stages):
            found = _with(found, {}, {costs.MODEL: _model(config, images.image_size)})
        if plan.TRAIN in stages or plan.EXPORT in stages:
            found = _train(session, found, net or session.net, world)
    return found


def near_budget(session: Session, found: Measured) -> Measured:
    """``found`` for a search near the budget, once there is a table that says which networks those are.

    Raises:
        InputError: no network of the space is within the budget.
    """
    if not session.table_path.is_file():
        return found
    space = session.space
    task = make_task(session.config.budget, space, session.table, session.config.search_net.population)
    rng, window = random.Random(0), task.window()
    near, mean_macs = [task.draw(window, rng) for _ in range(DRAWN)], _mean_macs(space, _drawn(space))
    scored = _mean_macs(space, near) / mean_macs
    if not (share := session.config.search_net.near):
        return replace(found, scored=scored)
    policy = NearPaths([task], share, 0)
    stepped = _mean_macs(space, [policy.paths(0, step)[0] for step in range(DRAWN)]) / mean_macs
    return replace(found, scored=scored, stepped=stepped)


def _mean_macs(space: NetworkSpace, archs: Sequence[Arch]) -> float:
    return mean(count(space.decode(arch)).macs for arch in archs)


def _with(found: Measured, steps: dict[str, Step], pieces: dict[str, float]) -> Measured:
    return replace(found, steps={**found.steps, **steps}, pieces={**found.pieces, **pieces})


def _batches(images: Images, size: int, side: int | None = None, part: tuple[int, int] = (0, 1)) -> Iterator[Batch]:
    """Training batches without end, or of each a part."""
    seeds = iter(range(10**9))

    def again() -> Iterator[Batch]:
        for seed in seeds:
            yield from images.batches(size, seed=seed, augment=True, size=side, part=part)

    return again()


def _step(
    images: Images, size: int, take: Callable[[Batch], object], side: int | None = None, world: World | None = None
) -> Step:
    """A step on batches of ``size`` and of a quarter of it; memory is that of small batches."""
    memory = step_memory(images, min(SMALL, size), min(2 * SMALL, size), take, side)
    part = (world.rank, world.size) if world else (0, 1)
    few = max(2, size // 4)
    whole, quarter = (_steps_s(_batches(images, count, side, part), take) for count in (size, few))
    least = min(whole)  # what disturbs a step only makes it longer
    fixed = min(least, max(0.0, least - size * (least - min(quarter)) / max(1, size - few)))
    return replace(memory, seconds=fixed, image_seconds=(mean(whole) - fixed) / size)


def _steps_s(batches: Iterator[Batch], take: Callable[[Batch], object]) -> list[float]:
    """Seconds of some steps after a first one, which is not timed."""
    take(next(batches))
    return [seconds_of(lambda: take(next(batches))) for _ in range(TRIED)]


def _view_s(images: Images, teacher: nn.Module, batch_size: int) -> float:
    """Seconds of one view of every picture, made and shown to the teacher."""
    batches = _batches(images, batch_size, images.side)
    return min(_steps_s(batches, lambda batch: answers(teacher, batch[0]))) * len(images) / batch_size


def step_memory(
    images: Images, small: int, large: int, take: Callable[[Batch], object], side: int | None = None
) -> Step:
    """The bytes of a step, by batches of two sizes; what is made once is made by a step before."""
    one, two = (next(_batches(images, count, side)) for count in (small, large))
    take(one)
    least, most = (most_added(lambda batch=batch: take(batch), images.labels.device) for batch in (one, two))  # type: ignore[misc]
    more = len(two[1]) - len(one[1])
    per_image = max(0.0, (most - least) / more) if more else least / len(one[1])
    return Step(0.0, max(0.0, least - per_image * len(one[1])), per_image)


def _share(images: Images) -> tuple[Images, float]:
    """Some images, and how many times as many there are in all."""
    if len(images) <= LOOKED_AT:
        return images, 1.0
    return images.subset(torch.arange(LOOKED_AT)), len(images) / LOOKED_AT


def _space(session: Session) -> NetworkSpace:
    """The network space, around the Frost bottleneck where the block is still to be found."""
    block = session.block if session.config.block is not None else NAMED_BLOCKS["frost"]
    return session.space_at(session.sizes, len(session.data.format.classes), block)


def _model(config: Config, size: int) -> float:
    """A model of one layer's kind written, loaded and measured once, without the rounds."""
    spec = proxy_spec(config.search_block.proxy, NAMED_BLOCKS["frost"], size, 10)
    latency = replace(config.latency, rounds=2, round_ms=0.1)
    if latency.target.name is TargetName.bundle:
        latency = replace(latency, target=TargetConfig())
    specs = [replace(spec, head=replace(spec.head, channels=64 + 8 * number)) for number in range(TRIED)]
    taken = seconds_of(lambda: measure_nets(latency, config.quant, specs))
    return max(0.02, taken - costs.AGENT_S) / len(specs)


def _middle(space: NetworkSpace) -> NetSpec:
    """Of some networks, the one with the median of multiply-adds."""
    nets = [space.decode(arch) for arch in _drawn(space)]
    return sorted(nets, key=lambda net: count(net).macs)[len(nets) // 2]


def _drawn(space: NetworkSpace) -> list[Arch]:
    rng = random.Random(0)
    return [space.draw(rng) for _ in range(DRAWN)]


def _search_net(session: Session, found: Measured, space: NetworkSpace, world: World) -> Measured:
    recipe = replace(Recipe.of(session.config, "search_net"), float_epochs=1, epochs=1)
    val, times = _share(session.data.val)
    data, search = replace(session.data_to_search, val=val), session.config.search_net
    lesson = _lesson(session)
    if isinstance(to_search(data, lesson, session.config)[0].train, Views):
        assert lesson is not None
        found = _with(found, {}, {costs.NET_VIEW: _view_s(data.train, lesson.teacher, recipe.batch_size)})
        lesson = None
    work = Work(recipe, search, data, session.workspace, "", world, lesson)
    supernet = work.fresh(space, share_weights=search.share_weights)
    archs = _drawn(space)
    macs = {arch: count(space.decode(arch)).macs for arch in archs}
    middle = sorted(archs, key=macs.__getitem__)[len(archs) // 2 - 1 :][:TRIED]
    share = mean(macs.values()) / mean(macs[arch] for arch in middle)
    trainer = work.trainer(supernet, _Given(space, middle, search.sandwich))
    side, steps = data.train.side if lesson else None, {}
    for name, epoch in ((costs.NET_FLOAT, 0), (costs.NET_FAKE, 1)):
        trainer.progress.epoch = epoch
        trainer.begin_epoch()

        def take(batch: Batch) -> None:
            trainer.progress.step += 1
            trainer.step(*batch)

        one = _step(data.train, recipe.batch_size, take, side, world)
        deep = max(macs.values()) / mean(macs[arch] for arch in middle)
        steps[name] = replace(one.times(share), image_bytes=one.image_bytes * deep)
    recalibrating = Scorer(supernet, data, recipe.batch_size, search.recalibration_batches, 0)
    without = replace(data, val=data.val.subset(torch.arange(2)))
    short = Scorer(supernet, without, recipe.batch_size, search.recalibration_batches, 0)
    least = seconds_of(lambda: short(middle[0]))
    whole = max(least, seconds_of(lambda: recalibrating(middle[0])))
    return _with(found, steps, {costs.NET_SCORE: share * (least + (whole - least) * times)})


def _lesson(session: Session) -> Lesson | None:
    """What the parent, trained or not, or another network teaches the supernet."""
    parent, given = session.parent, session.config.parent
    if parent is None or session.lesson is not None or not given.teaches:
        return session.lesson
    net, knows = _live(session, parent)
    return lesson_by(session, parent, net) if knows or given.epochs else None


def _live(session: Session, parent: Parent) -> tuple[Net, bool]:
    scheme = Recipe.of(session.config, "train").scheme
    net, knows = parent.live(len(session.data.format.classes), session.parent_size, scheme)
    set_state(net, QuantState.FLOAT)
    return net.to(session.device, memory_format=torch.channels_last), knows  # type: ignore[call-overload]


def _parent(session: Session, found: Measured, world: World) -> Measured:
    """Its training on the images."""
    config, classes = session.config, len(session.data.format.classes)
    assert session.parent is not None
    recipe = replace(Recipe.of(config, "train"), head_epochs=0, float_epochs=1, epochs=0, frozen_epochs=0)
    net, _ = _live(session, session.parent)
    trainer = Trainer(net, recipe, config.train, 10**6, classes, world, size=session.parent_size)
    trainer.begin_epoch()
    train = session.data_of_parent.train
    step = _step(train, recipe.batch_size, lambda batch: trainer.step(*batch), train.side, world)
    val, times = _share(session.data_of_parent.val)
    look = seconds_of(lambda: evaluate(trainer.evaluated, val)) * times
    return _with(found, {costs.PARENT: step}, {costs.PARENT_LOOK: look})


class _Given(NothingLearnt):
    """The policy that takes some paths in turn, beside the largest one where the search does."""

    def __init__(self, space: NetworkSpace, archs: Sequence[Arch], sandwich: int) -> None:
        self.largest, self.archs, self.smaller = space.largest, cycle(archs), sandwich

    def paths(self, epoch: int, step: int) -> Sequence[Arch]:
        return (self.largest, *islice(self.archs, self.smaller)) if self.smaller else (next(self.archs),)


def _train(session: Session, found: Measured, spec: NetSpec, world: World) -> Measured:
    config = session.config
    taught = config.train.distill.weights or Path(config.train.distill.teacher or ".", TRAIN).is_file()
    data = session.data_to_train if taught else session.data_like_trained(spec)
    recipe = replace(Recipe.of(config, "train"), head_epochs=0, float_epochs=1, epochs=1, frozen_epochs=0)
    classes = len(data.format.classes)
    net = Net(spec, recipe.scheme).to(session.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = session.teacher if taught else None  # a parent that is still to be trained
    if isinstance(to_train(data, teacher, config, spec.image_size)[0].train, Views):
        assert teacher is not None
        found = _with(found, {}, {costs.TRAIN_VIEW: _view_s(data.train, teacher, recipe.batch_size)})
        data, teacher = session.data_like_trained(spec), None
    trainer = Trainer(net, recipe, config.train, 10**6, classes, world, teacher, size=spec.image_size)
    steps = {}
    for name, epoch in ((costs.TRAIN_FLOAT, 0), (costs.TRAIN_FAKE, 1)):
        trainer.progress.epoch = epoch
        trainer.begin_epoch()
        steps[name] = _step(data.train, recipe.batch_size, lambda batch: trainer.step(*batch), data.train.side, world)
    (val, times), (test, test_times) = _share(data.val), _share(data.test)
    look = seconds_of(lambda: evaluate(trainer.evaluated, val)) * times
    set_state(net, QuantState.FROZEN)
    predicted = seconds_of(lambda: predict(net, test)) * test_times
    # The export looks in torch, in the INT8 file and in the FP32 file, and at every layer for the report.
    return _with(found, steps, {costs.TRAIN_LOOK: look, costs.TEST_LOOK: predicted, costs.EXPORTED: 8 + 4 * predicted})


def _search_block(session: Session, found: Measured) -> Measured:
    config, data = session.config, session.data
    search, space = config.search_block, BlockSpace(config.space.block)
    whole = {slot: tuple(range(len(candidates))) for slot, candidates in space.slots.items()}
    recipe = replace(Recipe.of(config, "search_block"), float_epochs=1, epochs=1)
    images, classes = data.format, len(data.format.classes)
    phase = make_phase(search, space, whole, 0, images.image_size, classes)
    free = SlotCosts(1.0, {slot: (1.0,) * len(candidates) for slot, candidates in space.slots.items()})
    searcher = Searcher(recipe, search, phase, free, session.device, 10**6)
    steps = {}
    for name, epoch in ((costs.BLOCK_WARM, 0), (costs.BLOCK_SEARCH, 1)):
        searcher.progress.epoch = epoch
        searcher.begin_epoch()
        steps[name] = _step(data.train, recipe.batch_size, lambda batch: searcher.step(batch, batch))
    val, times = _share(data.val)
    look = seconds_of(lambda: top1_inside(searcher.model, searcher.arch.mixed(), val)) * times
    alone, alone_look = _alone(config, data, recipe, space)
    return replace(
        _with(found, steps | alone, {costs.BLOCK_LOOK: look, costs.BLOCK_ALONE_LOOK: alone_look}),
        candidates=1 + sum(len(candidates) - 1 for candidates in space.slots.values()),
    )


def _alone(config: Config, data: Splits, recipe: Recipe, space: BlockSpace) -> tuple[dict[str, Step], float]:
    """The mean step of a few blocks that are trained alone, and a look at the validation images.

    A search, which weighs latency too, finds cheap blocks: those that it trains are taken for the cheaper half.
    """
    images, seconds = data.format, []
    val, times = _share(data.val)
    some = data.train.subset(torch.arange(min(len(data.train), 2 * recipe.batch_size)))
    per_epoch = batch_count(len(some), recipe.batch_size, shuffled=True)
    looks = []
    for block in space.distinct(random.Random(0), BLOCKS, ()):
        spec = proxy_spec(config.search_block.proxy, block, images.image_size, len(images.classes))
        training = train_alone(trial_recipe(recipe, 2), spec, replace(data, train=some, val=val))
        next(training)
        seconds.append(mean(seconds_of(lambda one=training: next(one)) for _ in range(2 * per_epoch - 1)))  # type: ignore[misc]
        looks.append(seconds_of(lambda one=training: list(islice(one, 1))) / 3 * times)  # type: ignore[misc]
    cheaper = sorted(seconds)[: BLOCKS // 2]
    return {costs.BLOCK_ALONE: Step(mean(seconds)), costs.BLOCK_FOUND: Step(mean(cheaper))}, mean(looks)
