"""Cost of a block-search step beside the QAT step of the largest single block: CPU time and activation memory.

    python benchmarks/block_cost.py [KEY=VALUE]...

A search step is one update of the weights on one batch and one of the architecture on another. Memory is the most that
autograd keeps for a backward pass, each storage once. Goals: all paths at most 3 times the largest block, sampled 1.5
times. A progressive search is measured in its last phase, beside the largest block in that phase's deeper network.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.artifacts import BlockSpec
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.nets import Net, count
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.search.block.gradients import first_order, second_order
from frostnas.search.block.plan import PROGRESSIVE_PHASES, deepened, survivors
from frostnas.search.block.searcher import PATHS_PER_STEP
from frostnas.search.block.supernet.mixture import Architecture, Mixture, one_path
from frostnas.search.block.supernet.net import MixedSupernet
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.spaces.block import BlockSpace, block_code

CPU, ROUNDS, LR = torch.device("cpu"), 11, 0.05
Steps = dict[str, tuple[Callable[[], object], Callable[[], object]]]
"""Name -> an update of the weights and one of the architecture, without the optimizers."""


def kept_bytes(step: Callable[[], object]) -> int:
    """Most bytes that autograd keeps at one time between a forward and its backward pass."""
    sizes: dict[int, int] = {}
    most = 0

    def note(tensor: Tensor) -> Tensor:
        nonlocal most
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        most = max(most, sum(sizes.values()))
        return tensor

    def give(tensor: Tensor) -> Tensor:
        sizes.pop(tensor.untyped_storage().data_ptr(), None)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, give):
        step()
    return most


def cpu_ms(steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU time of each in ms, in interleaved rounds."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    # Sampled blocks differ in cost, so their mean is what a search pays; medians would hide the large ones.
    return {
        name: 1e3 * (statistics.mean if "sampled" in name else statistics.median)(values[1:])
        for name, values in times.items()
    }


def largest_of(config: Config, space: BlockSpace) -> BlockSpec:
    def work(block: BlockSpec) -> tuple[int, bool, bool]:
        """Multiply-adds first; they do not count the three roundings of a hard-swish, nor the add."""
        macs = count(proxy_spec(config.search_block.proxy, block, config.data.side, 10)).macs
        return macs, block.activation == "hard_swish", block.skip == "add"

    return max(space, key=work)


def last_phase(config: Config, space: BlockSpace, largest: BlockSpec) -> tuple[Config, BlockSpace]:
    """The space and the proxy network that a progressive search ends with, where the largest block is ahead."""
    ahead = {
        slot: tuple(1.0 if at == best else 0.1 for at in range(len(space.slots[slot])))
        for slot, best in zip(space.slots, space.encode(largest), strict=True)
    }
    kept = {slot: tuple(range(len(candidates))) for slot, candidates in space.slots.items()}
    number = PROGRESSIVE_PHASES - 1
    search = replace(config.search_block, proxy=deepened(config.search_block.proxy, number))
    small = space.restricted(survivors(kept, ahead, number, PROGRESSIVE_PHASES))
    return replace(config, search_block=search), small


def report(config: Config, space: BlockSpace, largest: BlockSpec, wanted: Callable[[str], bool]) -> None:
    size, batch, proxy = config.data.side, config.search_block.batch_size, config.search_block.proxy
    alone = Net(proxy_spec(proxy, largest, size, 10)).to(memory_format=torch.channels_last)
    supernet = MixedSupernet(space, proxy_spec(proxy, BlockSpec(), size, 10), Scheme()).to(
        memory_format=torch.channels_last
    )
    for model in (alone, supernet):
        set_state(model, QuantState.FAKE)
    arch, generator = Architecture(space, CPU), torch.Generator().manual_seed(0)
    logits, weights = list(arch.parameters()), list(supernet.parameters())
    pixels = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))

    def loss(mixture: Mixture) -> Tensor:
        return F.cross_entropy(supernet(pixels, mixture), labels)

    def mixed() -> None:
        loss(Mixture({slot: p.detach() for slot, p in arch.probabilities().items()})).backward()

    def drawn() -> Tensor:
        return loss(one_path(space, arch.sample(generator), CPU))

    def task() -> Tensor:
        return loss(arch.mixed())

    def scored() -> None:
        with torch.no_grad():
            for _ in range(PATHS_PER_STEP):
                drawn()

    def single() -> None:
        F.cross_entropy(alone(pixels), labels).backward()

    every: Steps = {
        "all paths": (mixed, lambda: first_order(task, logits, weights)),
        "second order": (mixed, lambda: second_order(task, task, logits, weights, LR)),
        "sampled": (lambda: drawn().backward(), scored),
    }
    steps = {name: pair for name, pair in every.items() if wanted(name)}
    flat = {f"{name} {number}": step for name, pair in steps.items() for number, step in enumerate(pair)}
    ms = cpu_ms({"largest": single, **flat})
    base, base_memory = ms["largest"], kept_bytes(single)
    print(f"largest block {block_code(largest)}: {base:.1f} ms, {base_memory / 2**20:.1f} MiB")
    for name, pair in steps.items():
        first, second = (ms[f"{name} {number}"] / base for number in range(2))
        # Sampled paths differ, so the dearest of several counts.
        memory = max(kept_bytes(step) for step in pair for _ in range(20 if name == "sampled" else 1)) / base_memory
        print(
            f"{name}: weights {first:.2f}x, architecture {second:.2f}x, search step {first + second:.2f}x, "
            f"memory {memory:.2f}x"
        )


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = compose_config(sys.argv[1:])
    space = BlockSpace(config.space.block)
    largest = largest_of(config, space)
    report(config, space, largest, lambda name: True)
    print("progressive, last phase:")
    report(*last_phase(config, space, largest), largest, lambda name: name == "all paths")


if __name__ == "__main__":
    main()
