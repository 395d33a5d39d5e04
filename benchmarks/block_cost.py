"""Cost of a block-search step beside the QAT step of the largest single block: CPU time and activation memory.

    python benchmarks/block_cost.py [KEY=VALUE]...

A search step is one update of the weights on one batch and one of the architecture on another. Memory is what autograd
keeps for the backward pass, each storage once. Goals: all paths at most 3 times the largest block, sampled 1.5 times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.artifacts import BlockSpec
from frostnas.config.compose import compose_config
from frostnas.nets import Net, count
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.search.block.mixture import Architecture, Mixture, one_path
from frostnas.search.block.proxy import proxy_spec
from frostnas.search.block.searcher import PATHS_PER_STEP
from frostnas.search.block.supernet import Supernet
from frostnas.search.spaces.block import BlockSpace, block_code

CPU, ROUNDS = torch.device("cpu"), 11


def kept_bytes(step: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps between the forward and the backward pass."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(sizes.values())


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = compose_config(sys.argv[1:])
    size, batch = config.data.image_size, config.search_block.batch_size
    space, proxy = BlockSpace(config.space.block), config.search_block.proxy

    def work(block: BlockSpec) -> tuple[int, bool, bool]:
        """Multiply-adds first; they do not count the three roundings of a hard-swish, nor the add."""
        return count(proxy_spec(proxy, block, size, 10)).macs, block.activation == "hard_swish", block.skip == "add"

    largest = max(space, key=work)
    alone = Net(proxy_spec(proxy, largest, size, 10)).to(memory_format=torch.channels_last)
    supernet = Supernet(space, proxy_spec(proxy, BlockSpec(), size, 10), Scheme()).to(memory_format=torch.channels_last)
    for model in (alone, supernet):
        set_state(model, QuantState.FAKE)
    arch, generator = Architecture(space, CPU), torch.Generator().manual_seed(0)
    pixels = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))

    def mixed() -> Tensor:
        weights = {slot: p.detach() for slot, p in arch.probabilities().items()}
        return F.cross_entropy(supernet(pixels, Mixture(weights)), labels)

    def sampled() -> Tensor:
        return F.cross_entropy(supernet(pixels, one_path(space, arch.sample(generator), CPU)), labels)

    def with_gradient() -> Tensor:
        return F.cross_entropy(supernet(pixels, arch.mixed()), labels)

    def scored() -> None:
        with torch.no_grad():
            for _ in range(PATHS_PER_STEP):
                sampled()

    def single() -> Tensor:
        return F.cross_entropy(alone(pixels), labels)

    steps: dict[str, Callable[[], object]] = {
        "largest block": lambda: single().backward(),
        "all paths, weights": lambda: mixed().backward(),
        "all paths, architecture": lambda: torch.autograd.grad(with_gradient(), list(arch.parameters())),
        "sampled, weights": lambda: sampled().backward(),
        "sampled, architecture": scored,
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    # Sampled blocks differ in cost, so their mean is what a search pays; medians would hide the large ones.
    ms = {
        name: 1e3 * (statistics.mean if "sampled" in name else statistics.median)(values[1:])
        for name, values in times.items()
    }
    memory = {"largest block": kept_bytes(single), "all paths": kept_bytes(with_gradient)}
    memory["sampled"] = max(kept_bytes(sampled) for _ in range(20))
    base = ms["largest block"]
    print(f"largest block {block_code(largest)}: {base:.1f} ms, {memory['largest block'] / 2**20:.1f} MiB")
    for name in ("all paths", "sampled"):
        weights, architecture = ms[f"{name}, weights"], ms[f"{name}, architecture"]
        print(
            f"{name}: weights {weights / base:.2f}x, architecture {architecture / base:.2f}x, "
            f"search step {(weights + architecture) / base:.2f}x, memory {memory[name] / memory['largest block']:.2f}x"
        )


if __name__ == "__main__":
    main()
