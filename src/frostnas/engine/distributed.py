"""Several processes that train one network: torchrun starts them, they share every batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed as dist


@dataclass(frozen=True, slots=True)
class World:
    """This process among all of them; (0, 1) alone."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this is the one process that writes to the run directory and the terminal."""
        return self.rank == 0


def launched() -> World:
    """What torchrun started this process as."""
    if not dist.is_available() or not dist.is_torchelastic_launched():
        return World()
    return World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


def local_cuda() -> torch.device:
    """The CUDA device of this process on its machine."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if launched().size > 1 else 0)


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Connect the processes that torchrun started (NCCL for CUDA, Gloo for CPU) for the length of the block."""
    world = launched()
    if world.size == 1 or dist.is_initialized():
        yield world
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield world
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Make gradients the mean over all processes, in one exchange; alone they stay as they are.

    Every process must have gradients for the same parameters. Unlike DistributedDataParallel this leaves a parameter
    without a gradient alone, so that optimizers do not decay it.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = total(torch.cat([gradient.flatten() for gradient in gradients])) / dist.get_world_size()
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def total(values: torch.Tensor) -> torch.Tensor:
    """The sum of ``values`` over all processes, in place; alone it is ``values``."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
    return values
