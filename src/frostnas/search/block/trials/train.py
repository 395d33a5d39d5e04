"""The proof: the found block, published ones and random ones, each trained alone for one equal budget."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch.nn import functional as F

from frostnas.artifacts import BlockSpec, NetSpec
from frostnas.data import Images, Splits
from frostnas.data.images import batch_count, derived_seed
from frostnas.engine import Part, Qat, Recipe, evaluate, predict
from frostnas.engine.qat import in_parts
from frostnas.nets import NAMED_BLOCKS, Net
from frostnas.quant import QuantState, set_state
from frostnas.search.spaces.block import KIND, BlockSpace, block_code

FLOAT_SHARE = 4  # one epoch in so many is StatAssist
EVALUATED = 256  # images in a batch
DRAW = 77  # tells the draw of random blocks from everything else that the seed decides


@dataclass(frozen=True)
class Scores:
    """Validation accuracies as fractions, and the mean cross-entropy."""

    top1_fp32: float
    top1_int8: float
    loss_int8: float


Trial = Callable[[Recipe, NetSpec, Splits], Iterator[Scores | None]]
"""Trains a network as the recipe says. Yields None after every step and the scores at the end."""


def contenders(space: BlockSpace, found: BlockSpec, random_blocks: int, seed: int) -> dict[str, BlockSpec]:
    """Name -> block: the found one, the published ones, and random ones that are none of these."""
    rng = random.Random(derived_seed(seed, DRAW))
    known = {"found": found} | {name: block for name, block in NAMED_BLOCKS.items() if block.kind == KIND}
    drawn = space.distinct(rng, random_blocks, tuple(known.values()))
    return known | {f"random {block_code(block)}": block for block in drawn}


def trial_recipe(recipe: Recipe, epochs: int) -> Recipe:
    """The stage's recipe for a network alone, with StatAssist and QAT in ``epochs``."""
    floats = epochs // FLOAT_SHARE
    return replace(recipe, float_epochs=floats, epochs=epochs - floats)


def train_alone(recipe: Recipe, spec: NetSpec, data: Splits) -> Iterator[Scores | None]:
    """The `Trial` of the stage.

    The seed, and with it the initial weights' generator, batch order and augmentation, is the same for every block.

    Raises:
        TrainingError: the loss or an activation is not a finite number.
    """
    torch.manual_seed(recipe.seed)
    net = Net(spec, recipe.scheme).to(data.train.labels.device).to(memory_format=torch.channels_last)
    qat = Qat(net, recipe, batch_count(len(data.train), recipe.batch_size, shuffled=True))
    for epoch in range(recipe.total_epochs):
        qat.begin_epoch()
        batches = data.train.batches(recipe.batch_size, seed=derived_seed(recipe.seed, DRAW, epoch), augment=True)
        for pixels, labels in batches:
            parts = in_parts(recipe.micro_batches, pixels, labels)
            qat.update(*(Part.of(partial(net, some), wanted) for some, wanted in parts))
            yield None
        qat.progress.next_epoch()
    set_state(net, QuantState.FAKE)
    int8, loss = evaluate(net, data.val), _loss(net, data.val)
    set_state(net, QuantState.FLOAT)
    yield Scores(evaluate(net, data.val), int8, loss)


def _loss(net: Net, images: Images) -> float:
    labels = torch.cat([labels for _, labels in images.batches(EVALUATED)])
    return float(F.cross_entropy(predict(net, images, EVALUATED), labels))


def finish(training: Iterator[Scores | None], after_step: Callable[[], None]) -> Scores:
    """Run a `Trial` to its end, with a call after every step."""
    for scores in training:
        if scores is not None:
            return scores
        after_step()
    raise AssertionError("training ends in its scores")
