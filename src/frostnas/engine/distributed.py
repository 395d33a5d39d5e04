"""Several processes that train one network: torchrun starts them, they share every batch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed as dist

log = logging.getLogger(__name__)

T = TypeVar("T")


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


class ProcessLost(RuntimeError):
    """Another of the processes that share the work ended, or did not answer in time."""


@contextmanager
def joined(device: torch.device, timeout_s: float) -> Iterator[World]:
    """Connect the processes that torchrun started (NCCL for CUDA, Gloo for CPU) for the length of the block.

    Args:
        timeout_s: how long one waits for another that is silent; one that ended is noticed at once.

    Raises:
        ProcessLost: another process ended or was silent for too long.
    """
    world = launched()
    if world.size == 1 or dist.is_initialized():
        yield world
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout_s))
        yield world
    except RuntimeError as error:
        if not _of_connection(error):
            raise
        log.error("process %d of %d: %s", world.rank, world.size, error)
        silent = any(word in str(error).lower() for word in ("timed out", "timeout"))
        what = f"did not answer for {timeout_s:g} s (peer_timeout_s)" if silent else "ended before the work was done"
        raise ProcessLost(
            f"process {world.rank + 1} of {world.size} stops: another one {what}; that one "
            "or torchrun says what happened there; the same command goes on from the last checkpoint"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _of_connection(error: RuntimeError) -> bool:
    """Gloo's errors have no type of their own; NCCL's and the store's do."""
    return isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "pair closure"))


def processes() -> int:
    """How many processes are connected; 1 alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Make gradients the mean over all processes, in one exchange; alone they stay as they are.

    Every process must have gradients for the same parameters. Unlike DistributedDataParallel this leaves a parameter
    without a gradient alone, so that optimizers do not decay it.
    """
    if processes() == 1:
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


def said_by_first(value: T) -> T:
    """What the process of rank 0 has; alone it is ``value``. Of any type that pickles."""
    if processes() == 1:
        return value
    said = [value]
    dist.broadcast_object_list(said, 0)
    return said[0]


def from_first(values: Iterable[torch.Tensor]) -> None:
    """Make ``values`` those of the process of rank 0, in place; alone they stay as they are."""
    if dist.is_available() and dist.is_initialized():
        for value in values:
            dist.broadcast(value, 0)
