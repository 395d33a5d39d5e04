"""How long a stage takes and how much memory, from its settings and from steps that were measured: sums, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from frostnas.config import Config, Paths
from frostnas.data import batch_count
from frostnas.pipeline import plan
from frostnas.search.block.plan import phase_count
from frostnas.search.net.strategies import evaluations

ROUND = 1.6
"""Times `latency.round_ms` that a model takes in a round: alone, among the others, and what lies between."""
AGENT_S = 2.0
"""A measuring session's start and end."""
SESSIONS = 3  # in which candidates of the block search are measured
BESIDE = 2  # finals that the search holds besides: the strategy's pick, and the whole network
HELD_OUT = 256  # images of a batch without gradients


@dataclass(frozen=True, slots=True)
class Step:
    """One training step."""

    seconds: float = 0.0
    """That it takes whatever the batch."""
    fixed_bytes: float = 0.0
    """As those seconds."""
    image_bytes: float = 0.0
    """That it takes per image of the batch, or of a micro-batch."""
    image_seconds: float = 0.0
    """That it takes per image of the batch."""

    def of(self, batch_size: int) -> float:
        """Seconds with that many images."""
        return self.seconds + batch_size * self.image_seconds

    def times(self, share: float) -> Step:
        """One that takes ``share`` of the time."""
        return replace(self, seconds=share * self.seconds, image_seconds=share * self.image_seconds)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the machine takes for single pieces of the stages."""

    images: int
    """To train on."""
    held_bytes: int = 0
    """Of the process before any step."""
    steps: Mapping[str, Step] = field(default_factory=dict)
    """By their names below."""
    pieces: Mapping[str, float] = field(default_factory=dict)
    """Seconds of whole pieces, by their names below."""
    workloads: int = 0
    """Models that profile-latency measures."""
    candidates: int = 0
    """Proxy networks that the block search measures."""
    scored: float = 1.0
    """Of the search's networks, which lie near the budget: their multiply-adds beside those of the mean network."""
    stepped: float = 1.0
    """Of the networks that the supernet's steps train, as `scored`."""
    processes: int = 1
    """That share the batches; the steps were measured by all of them."""


# Steps: a supernet's float and fake-quantized ones, the block search's warm-up and search, those of a block alone
# that is drawn at random or found by a search, training's.
NET_FLOAT, NET_FAKE = "search-net float", "search-net fake-quantized"
BLOCK_WARM, BLOCK_SEARCH = "search-block warm-up", "search-block search"
BLOCK_ALONE, BLOCK_FOUND = "search-block alone", "search-block found"
TRAIN_FLOAT, TRAIN_FAKE = "train float", "train fake-quantized"
PARENT, PARENT_LOOK = "parent", "parent look"  # a step of its training, and a look at the validation images
# Pieces: a look at the validation images, a network's score, a model written and measured once, the export's tests.
NET_SCORE, BLOCK_LOOK, BLOCK_ALONE_LOOK = "search-net score", "search-block look", "search-block alone look"
TRAIN_LOOK, TEST_LOOK, MODEL, EXPORTED = "train look", "test look", "model", "exported"
NET_VIEW, TRAIN_VIEW = "search-net view", "train view"  # of every training picture, made and shown to a teacher
OF_STAGE = {
    plan.SEARCH_BLOCK: (BLOCK_WARM, BLOCK_SEARCH, BLOCK_ALONE, BLOCK_FOUND),
    plan.SEARCH_NET: (NET_FLOAT, NET_FAKE),
    plan.TRAIN: (TRAIN_FLOAT, TRAIN_FAKE),
}


def seconds(measured: Measured, stage: str, config: Config) -> float:
    """How long a stage takes with the settings of ``config``."""
    match stage:
        case plan.SEARCH_BLOCK:
            return _search_block(measured, config)
        case plan.PROFILE:
            return _profile(measured, config)
        case plan.PARENT:
            return _parent(measured, config)
        case plan.SEARCH_NET:
            return _search_net(measured, config)
        case plan.TRAIN:
            return _train(measured, config)
        case _:
            return measured.pieces.get(EXPORTED, 0.0)


def _count(measured: Measured, batch_size: int, share: float = 1.0) -> int:
    return batch_count(max(2, int(measured.images * share)), batch_size, shuffled=True)


def _step(measured: Measured, name: str, batch_size: int) -> float:
    return measured.steps.get(name, Step()).of(batch_size)


def _piece(measured: Measured, name: str) -> float:
    return measured.pieces.get(name, 0.0)


def _search_block(measured: Measured, config: Config) -> float:
    search = config.search_block
    size = search.batch_size
    half, whole = _count(measured, size, 0.5), _count(measured, size)
    looks = 2 if search.paths is Paths.all else 1
    warm, epochs = search.float_epochs * phase_count(search), search.epochs
    searching = half * (warm * _step(measured, BLOCK_WARM, size) + epochs * _step(measured, BLOCK_SEARCH, size))
    searching += (warm + epochs) * looks * _piece(measured, BLOCK_LOOK)
    trials = search.finalists + search.refinements
    finals = min(search.finals, trials) + len(search.published)
    contenders = 1 + 3 + search.random_blocks  # the found one and the named ones
    epochs_found = search.seeds * (trials * search.finalist_epochs + finals * search.compare_epochs)
    alone = epochs_found * whole * _step(measured, BLOCK_FOUND, size)
    alone += contenders * search.compare_epochs * whole * _step(measured, BLOCK_ALONE, size)
    alone += (search.seeds * (trials + finals) + contenders) * 3 * _piece(measured, BLOCK_ALONE_LOOK)
    models = SESSIONS * measured.candidates + contenders
    return search.seeds * searching + alone + models * _model(measured, config) + (SESSIONS + 1) * AGENT_S


def _model(measured: Measured, config: Config) -> float:
    """A model written and measured."""
    latency = config.latency
    return _piece(measured, MODEL) + latency.rounds * ROUND * latency.round_ms / 1000


def _profile(measured: Measured, config: Config) -> float:
    models = measured.workloads + config.latency.fit_networks + config.latency.held_out_networks
    return models * _model(measured, config) + AGENT_S


def _parent(measured: Measured, config: Config) -> float:
    size = config.train.batch_size
    per_epoch = _count(measured, size) * _step(measured, PARENT, size)
    return config.parent.epochs * (per_epoch + _piece(measured, PARENT_LOOK))


def _search_net(measured: Measured, config: Config) -> float:
    search, size = config.search_net, config.search_net.batch_size
    trained = search.float_epochs * _step(measured, NET_FLOAT, size) + search.epochs * _step(measured, NET_FAKE, size)
    networks = -(-evaluations(search) * (1 + len(config.budget.others)) // measured.processes)
    scored = networks * measured.scored * _piece(measured, NET_SCORE)
    scored += min(search.distill.views, search.float_epochs + search.epochs) * _piece(measured, NET_VIEW)
    return _count(measured, size) * measured.stepped * trained + scored + _finals(measured, config)


def _finals(measured: Measured, config: Config) -> float:
    """A step of one network alone is taken for the mean of those of a sandwich, in which the largest is."""
    search = config.search_net
    if not search.finals:
        return 0.0
    networks = (search.finals + BESIDE) * (1 + len(config.budget.others))
    alone = _step(measured, NET_FAKE, search.batch_size) / (1 + search.sandwich)
    return networks * (search.final_epochs * _count(measured, search.batch_size) * alone + _piece(measured, NET_SCORE))


def _train(measured: Measured, config: Config) -> float:
    train, size = config.train, config.train.batch_size
    floats = train.head_epochs + train.float_epochs
    trained = floats * _step(measured, TRAIN_FLOAT, size) + train.epochs * _step(measured, TRAIN_FAKE, size)
    looks = (floats + train.epochs + 2) * _piece(measured, TRAIN_LOOK) + 2 * _piece(measured, TEST_LOOK)
    looks += min(train.distill.views, floats + train.epochs) * _piece(measured, TRAIN_VIEW)
    return _count(measured, size) * trained + looks


def peak_bytes(measured: Measured, stage: str, config: Config) -> int:
    """The most that the process holds in a stage that trains; 0 for the others."""
    steps = [measured.steps[name] for name in OF_STAGE.get(stage, ()) if name in measured.steps]
    if not steps:
        return 0
    images = images_at_once(stage, config, measured.processes)
    return int(measured.held_bytes + max(step.fixed_bytes + images * step.image_bytes for step in steps))


def images_at_once(stage: str, config: Config, processes: int) -> int:
    """Images whose activations a process keeps at one time. Args: processes: that share the batches."""
    group = getattr(config, plan.GROUPS[stage])
    return -(-int(group.batch_size) // (int(group.micro_batches) * processes))


def micro_batches(measured: Measured, stage: str, config: Config, limit_bytes: int) -> int | None:
    """The fewest parts of a batch with which a stage keeps to a limit; None where two images at a time are too many."""
    group = plan.GROUPS[stage]
    own = getattr(config, group)
    for parts in range(own.micro_batches, max(own.micro_batches, own.batch_size // 2) + 1):
        if peak_bytes(measured, stage, plan.with_settings(config, {f"{group}.micro_batches": parts})) <= limit_bytes:
            return parts
    return None
