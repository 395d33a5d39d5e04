"""Several processes that train one network: torchrun starts them, they share every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
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


def total(values: torch.Tensor) -> torch.Tensor:
    """The sum of ``values`` over all processes, in place; alone it is ``values``."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
    return values
