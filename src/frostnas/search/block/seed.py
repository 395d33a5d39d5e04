"""One whole search from one seed: warm-up, epochs, phases, and the block it ends with."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import torch

from frostnas.artifacts import BlockHistoryRow, BlockSpec, NetSpec, SeedResult
from frostnas.config import Paths, SearchBlockConfig
from frostnas.data import Images, Splits
from frostnas.data.images import batch_count, derived_seed
from frostnas.engine import Bar, Recipe, Saver, Workspace
from frostnas.search.block.costs import Measure, SlotCosts
from frostnas.search.block.plan import SearchPhase, make_phase, phase_count, phase_epochs, survivors
from frostnas.search.block.searcher import Searcher
from frostnas.search.block.supernet.mixture import one_path
from frostnas.search.block.trials.finalists import drawn, refine
from frostnas.search.block.trials.inside import top1_inside
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.block.trials.train import Trial, finish, trial_recipe
from frostnas.search.block.verdict import entropy, margin
from frostnas.search.spaces.block import BlockSpace, block_code, parse_block

HALVES, DRAWS, FINALS, WEIGHTS, ARCHITECTURE = 11, 12, 13, 0, 1  # name the uses of a derived seed
Progressing = Callable[[str, int], AbstractContextManager[Bar]]


def halves(images: Images, seed: int) -> tuple[Images, Images]:
    """Two parts of equal size without a common image: for the weights and for the architecture."""
    count = len(images) // 2
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(derived_seed(seed, HALVES)))
    return images.subset(order[:count].sort().values), images.subset(order[count : 2 * count].sort().values)


@dataclass
class Track:
    """What a search has found so far; plain, so that a checkpoint holds it."""

    phase: int = 0
    kept: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Slot -> positions in the whole space of the candidates that the phase has."""
    rows: list[BlockHistoryRow] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Work:
    """What the searches of one run share."""

    recipe: Recipe
    search: SearchBlockConfig
    space: BlockSpace
    data: Splits
    measure: Measure
    workspace: Workspace
    saver: Saver
    trial: Trial

    def proxy(self, block: BlockSpec) -> NetSpec:
        """The proxy network with ``block`` in every layer."""
        return proxy_spec(self.search.proxy, block, self.data.format.image_size, len(self.data.format.classes))

    def steps(self, recipe: Recipe) -> int:
        """Of a training alone."""
        return recipe.total_epochs * batch_count(len(self.data.train), recipe.batch_size, shuffled=True)


class SeedSearch:
    """A search that stops and goes on at any step."""

    def __init__(self, work: Work, costs: SlotCosts, seed: int) -> None:
        """Args: seed: of this search; blocks are trained alone from the recipe's."""
        self.work, self.costs, self.seed = work, costs, seed
        self.recipe, self.options, self.space, self.data = work.recipe, work.search, work.space, work.data
        self.saver = work.saver
        self.weights_half, self.arch_half = halves(self.data.train, seed)
        self.steps = batch_count(len(self.weights_half), self.recipe.batch_size, shuffled=True)
        whole = {slot: tuple(range(len(candidates))) for slot, candidates in self.space.slots.items()}
        self.track = Track(kept=whole)
        self.clock = time.monotonic()
        live = self.saver.live
        mine = live if live is not None and live["seed"] == seed else None
        if mine is not None:
            self.track = msgspec.convert(mine["track"], Track)
        self.searcher = self._searcher()
        if mine is not None:
            self.searcher.load_state_dict(mine["searcher"])

    @property
    def phase(self) -> SearchPhase:
        images = self.data.format
        track = self.track
        return make_phase(self.options, self.space, track.kept, track.phase, images.image_size, len(images.classes))

    def _searcher(self) -> Searcher:
        device = self.data.train.labels.device
        phase, costs = self.phase, self.costs.restricted(self.track.kept)
        recipe = replace(self.recipe, seed=self.seed, float_epochs=phase.float_epochs, epochs=phase.epochs)
        return Searcher(recipe, self.options, phase, costs, device, self.steps)

    def search(self, bar: Bar) -> None:
        """Go on to the end of the last phase."""
        while True:
            while self.searcher.progress.epoch < self.searcher.recipe.total_epochs:
                self._epoch(bar)
            if self.track.phase + 1 == phase_count(self.options):
                return
            self._next_phase()

    def _epoch(self, bar: Bar) -> None:
        searcher, size = self.searcher, self.recipe.batch_size
        searcher.begin_epoch()
        number, done = searcher.progress.epoch, searcher.progress.step
        # Two iterators for the whole epoch: one made anew at every step would give the same batch every time.
        weights = self.weights_half.batches(size, seed=self._order(number, WEIGHTS), augment=True, skip=done)
        held_out = self.arch_half.batches(size, seed=self._order(number, ARCHITECTURE), skip=done)
        for weights_batch, arch_batch in zip(weights, held_out, strict=True):
            searcher.step(weights_batch, arch_batch)
            bar.step(loss=searcher.loss, top1=searcher.progress.top1)
            self.saver.after_step(self.state_dict)
        self.track.rows.append(self._row())
        searcher.progress.next_epoch()

    def _order(self, epoch: int, use: int) -> int:
        return derived_seed(self.seed, self.track.phase, epoch, use)

    def _row(self) -> BlockHistoryRow:
        searcher, track = self.searcher, self.track
        own = {slot: tuple(p.tolist()) for slot, p in searcher.arch.probabilities().items()}
        mixed = None
        if self.options.paths is Paths.all:
            mixed = top1_inside(searcher.model, searcher.arch.mixed(), self.data.val)
        block = one_path(searcher.space, searcher.arch.best(), searcher.device)
        return BlockHistoryRow(
            seed=self.seed,
            epoch=len(track.rows) + 1,
            phase="search" if searcher.searching else "warm-up",
            probabilities=self._over_whole_space(own),
            entropy={slot: entropy(p) for slot, p in own.items()},
            margin={slot: margin(p) for slot, p in own.items()},
            loss=searcher.loss,
            expected_ms=searcher.costs.expected_ms(searcher.arch.probabilities()).item(),
            top1_mixed=mixed,
            top1_path=top1_inside(searcher.model, block, self.data.val),
            block=block_code(searcher.space.decode(searcher.arch.best())),
        )

    def _over_whole_space(self, own: Mapping[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        result = {}
        for slot, candidates in self.space.slots.items():
            by_place = dict(zip(self.track.kept[slot], own[slot], strict=True))
            result[slot] = tuple(by_place.get(at, 0.0) for at in range(len(candidates)))
        return result

    def _next_phase(self) -> None:
        former, track = self.searcher, self.track
        own = {slot: tuple(p.tolist()) for slot, p in former.arch.probabilities().items()}
        kept = survivors(track.kept, own, track.phase + 1, phase_count(self.options))
        logits = {
            slot: former.arch.logits[slot].detach()[[track.kept[slot].index(place) for place in places]]
            for slot, places in kept.items()
        }
        track.phase, track.kept = track.phase + 1, kept
        self.searcher = self._searcher()
        with torch.no_grad():
            for slot, values in logits.items():
                self.searcher.arch.logits[slot].copy_(values)

    def choose(self, progress: Progressing) -> SeedResult:
        """The best of the finals, in which the best of many blocks trained alone meet published ones.

        Args:
            progress: makes the bar of one training, from its name and its steps.
        """
        search = self.options
        rows = self.track.rows[len(self.track.rows) - phase_epochs(search, self.track.phase) :]
        short = partial(self._loss, progress, "finalist", search.finalist_epochs, self.recipe.seed)
        losses = refine(self.space, self._start(rows), short, self._cost, search.refinements)
        finalists = {block: loss + self._cost(block) for block, loss in losses.items()}
        best = sorted(finalists, key=finalists.__getitem__)[: search.finals]
        published = [block for block in map(parse_block, search.published) if block in self.space]
        # Other initial weights and batches than those that the finalists were chosen with, and than the comparison's.
        again = derived_seed(self.recipe.seed, FINALS)
        finals = {
            block: self._loss(progress, "final", search.compare_epochs, again, block) + self._cost(block)
            for block in dict.fromkeys([*best, *published])
        }
        lead = min(rows, key=lambda row: (finalists[parse_block(row.block)], -row.epoch))
        return SeedResult(
            seed=self.seed,
            block=min(finals, key=finals.__getitem__),
            best_epoch=lead.epoch,
            probabilities=lead.probabilities,
            seconds=self._seconds(),
            finalists={block_code(block): score for block, score in finalists.items()},
            finals={block_code(block): score for block, score in finals.items()},
            own=min(best, key=finals.__getitem__),
        )

    def _start(self, rows: Sequence[BlockHistoryRow]) -> list[BlockSpec]:
        """What was ahead after some epoch and draws by the architecture weights, to half; the rest uniform draws.

        The architecture can be sure of a part that is worse alone; then no draw by its weights shows the others.
        """
        count, seed = self.options.finalists, derived_seed(self.seed, DRAWS)
        ahead = dict.fromkeys(parse_block(row.block) for row in rows)
        likely = drawn(self.space, [row.probabilities for row in rows], count, seed)
        guided = list(dict.fromkeys([*ahead, *likely]))[: max(len(ahead), (count + 1) // 2)]
        return guided + self.space.distinct(random.Random(seed), max(0, count - len(guided)), tuple(guided))

    def _cost(self, block: BlockSpec) -> float:
        """The latency term of a block's score."""
        weight = self.options.latency_weight
        return weight * self.costs.predict_ms(self.space, block) / self.costs.mean_ms()

    def _loss(self, progress: Progressing, use: str, epochs: int, seed: int, block: BlockSpec) -> float:
        """Validation cross-entropy of the block after a training of its own.

        Its weights in the supernet would not do: they were trained for the mixture.
        """
        recipe, spec = replace(trial_recipe(self.recipe, epochs), seed=seed), self.work.proxy(block)
        name = f"{use} {block_code(block)}"

        def work() -> float:
            with progress(name, self.work.steps(recipe)) as bar:

                def after_step() -> None:
                    bar.step()
                    self.saver.after_step(self.state_dict)

                return finish(self.work.trial(recipe, spec, self.data), after_step).loss_int8

        loss: float = self.saver.once(name, work, part=True)
        return loss

    def _seconds(self) -> float:
        now = time.monotonic()
        self.track.seconds += now - self.clock
        self.clock = now
        return self.track.seconds

    def state_dict(self) -> dict[str, Any]:
        self._seconds()
        return {
            "seed": self.seed,
            "track": msgspec.to_builtins(self.track),
            "searcher": self.searcher.state_dict(),
        }
