"""Which operations a step of search-net and one of search-block spend their time in, at 64 and 128 pixels.

    python benchmarks/step_parts.py [SIZE ...]

Random pixels of ten classes, batches of 32, one thread, fake-quantized steps after a warm-up step; per search the
operations with the largest shares of the CPU's own time, by torch's profiler. Shares hold on a
busy machine, times do not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile

from frostnas.config import NetworkSpaceConfig
from frostnas.config.compose import compose_config
from frostnas.engine import Recipe
from frostnas.nets import NAMED_BLOCKS
from frostnas.search.block.costs import SlotCosts
from frostnas.search.block.plan import make_phase
from frostnas.search.block.searcher import Searcher
from frostnas.search.net.policy import UniformPaths
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.block import BlockSpace
from frostnas.search.spaces.fit import fitted, fitted_proxy
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

BATCH, CLASSES, SHOWN, STEPS = 32, 10, 8, 2
CONFIG = compose_config(["quant.weight_bits=7", "quant.signed_activations=false"])


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.randn(BATCH, 3, size, size).to(memory_format=torch.channels_last)
    return pixels, torch.randint(CLASSES, (BATCH,))


def shares(title: str, step: Callable[[], object]) -> None:
    step()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(STEPS):
            step()
    rows = sorted(found.key_averages(), key=lambda one: -one.self_cpu_time_total)
    whole = sum(one.self_cpu_time_total for one in rows)
    print(f"{title}: {whole / STEPS / 1e3:.0f} ms of CPU time")
    for one in rows[:SHOWN]:
        print(f"  {one.self_cpu_time_total / whole:6.1%}  {one.count // STEPS:5d} x  {one.key}")


def search_net(size: int) -> None:
    recipe = replace(Recipe.of(CONFIG, "search_net"), float_epochs=0, epochs=1)
    space = NetworkSpace(
        from_scratch(fitted(NetworkSpaceConfig(fit=True), size), NAMED_BLOCKS["frost"], [size], CLASSES)
    )
    supernet = Supernet(space, recipe.scheme).to(memory_format=torch.channels_last)
    trainer = SupernetTrainer(supernet, UniformPaths(space, 0), recipe, 1000)
    trainer.begin_epoch()
    shares(f"search-net, {size} pixels", lambda: trainer.step(*batch(size)))


def search_block(size: int) -> None:
    recipe, search = replace(Recipe.of(CONFIG, "search_block"), float_epochs=0, epochs=1), CONFIG.search_block
    space = BlockSpace(CONFIG.space.block)
    free = SlotCosts(1.0, {slot: (1.0,) * len(candidates) for slot, candidates in space.slots.items()})
    kept = {slot: tuple(range(len(candidates))) for slot, candidates in space.slots.items()}
    search = replace(search, proxy=fitted_proxy(search.proxy, size))
    phase = make_phase(search, space, kept, 0, size, CLASSES)
    searcher = Searcher(recipe, search, phase, free, torch.device("cpu"), 1000)
    searcher.begin_epoch()
    shares(f"search-block, {size} pixels", lambda: searcher.step(batch(size), batch(size)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for side in [int(word) for word in sys.argv[1:]] or [64, 128]:
        search_net(side)
        search_block(side)
