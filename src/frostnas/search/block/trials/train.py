"""The proof: the found block, published ones and random ones, each trained alone for one equal budget."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from frostnas.artifacts import BlockSpec, NetSpec
from frostnas.config import Config
from frostnas.data import Images, Splits
from frostnas.data.images import batch_count, derived_seed
from frostnas.engine import Schedule, evaluate, make_optimizer, predict
from frostnas.nets import NAMED_BLOCKS, Net
from frostnas.quant import GradBoost, QuantState, Scheme, set_state
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


def contenders(config: Config, space: BlockSpace, found: BlockSpec) -> dict[str, BlockSpec]:
    """Name -> block: the found one, the published ones, and random ones that are none of these."""
    rng = random.Random(derived_seed(config.seed, DRAW))
    known = {"found": found} | {name: block for name, block in NAMED_BLOCKS.items() if block.kind == KIND}
    drawn = space.distinct(rng, config.search_block.random_blocks, tuple(known.values()))
    return known | {f"random {block_code(block)}": block for block in drawn}


def train_alone(config: Config, spec: NetSpec, data: Splits) -> Iterator[Scores | None]:
    """Train a network with StatAssist and QAT for `search_block.compare_epochs`.

    The seed, and with it the initial weights' generator, batch order and augmentation, is the same for every block.
    Yields None after every step and the scores at the end.
    """
    search, device = config.search_block, data.train.labels.device
    torch.manual_seed(config.seed)
    scheme = Scheme.of(config.quant)
    net = Net(spec, scheme).to(device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(net, search.optim)
    boost = GradBoost(net.parameters(), config.quant.gradboost, config.seed)
    if config.quant.gradboost.enabled:
        boost.attach(optimizer)
    steps = batch_count(len(data.train), search.batch_size, shuffled=True)
    floats = search.compare_epochs // FLOAT_SHARE
    for epoch in range(search.compare_epochs):
        quantized = epoch >= floats
        start, length = (floats, search.compare_epochs - floats) if quantized else (0, floats)
        schedule = Schedule(search.optim, steps, length * steps)
        set_state(net, QuantState.FAKE if quantized else QuantState.OBSERVE)
        if quantized:
            boost.boost()
        net.train()
        batches = data.train.batches(search.batch_size, seed=derived_seed(config.seed, DRAW, epoch), augment=True)
        for number, (pixels, labels) in enumerate(batches):
            schedule.apply(optimizer, (epoch - start) * steps + number)
            F.cross_entropy(net(pixels), labels).backward()  # type: ignore[no-untyped-call]
            if search.optim.clip_norm is not None:
                nn.utils.clip_grad_norm_(net.parameters(), search.optim.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            yield None
    set_state(net, QuantState.FAKE)
    int8, loss = evaluate(net, data.val), _loss(net, data.val)
    set_state(net, QuantState.FLOAT)
    yield Scores(evaluate(net, data.val), int8, loss)


def _loss(net: Net, images: Images) -> float:
    labels = torch.cat([labels for _, labels in images.batches(EVALUATED)])
    return float(F.cross_entropy(predict(net, images, EVALUATED), labels))


def finish(training: Iterator[Scores | None], after_step: Callable[[], None]) -> Scores:
    """Run `train_alone` to its end, with a call after every step."""
    for scores in training:
        if scores is not None:
            return scores
        after_step()
    raise AssertionError("training ends in its scores")
