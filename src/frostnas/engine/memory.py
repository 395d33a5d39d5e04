"""Memory that work takes: what is free on the device, what the process holds, and the most that a step adds to it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

MEMINFO, STATUS, GROUP = Path("/proc/meminfo"), Path("/proc/self/status"), Path("/sys/fs/cgroup")


def free_bytes(device: torch.device) -> int | None:
    """Of the GPU, or of the RAM that Linux would give to a process that asks, within what a container may take.

    None where nobody says.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = [one for one in (_kib(MEMINFO, "MemAvailable"), _container()) if one is not None]
    return min(known, default=None)


def _container() -> int | None:
    """What the control group leaves; None where there is none or it has no limit."""
    try:
        return max(0, int((GROUP / "memory.max").read_text()) - int((GROUP / "memory.current").read_text()))
    except (OSError, ValueError):
        return None


def held_bytes(device: torch.device) -> int:
    """What this process holds now; 0 where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return _kib(STATUS, "VmRSS") or 0


def _kib(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)


def most_added(step: Callable[[], object], device: torch.device) -> int:
    """The most bytes of tensors that ``step`` has alive at one time beyond those that were there before.

    What kernels allocate inside is not seen on a CPU.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = int(torch.cuda.memory_allocated(device))
        step()
        return int(torch.cuda.max_memory_allocated(device)) - before
    with _Storages() as storages:
        step()
    return int(storages.most)


class _Storages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every storage that an operation makes, until it is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(one.untyped_storage()) for one in tree_flatten((args, kwargs))[0] if isinstance(one, torch.Tensor)}
        result = func(*args, **(kwargs or {}))
        for one in tree_flatten(result)[0]:
            if isinstance(one, torch.Tensor) and id(storage := one.untyped_storage()) not in given:
                self._follow(storage)
        return result

    def _follow(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known or storage.device.type == "meta":
            return
        size = storage.nbytes()
        self._known.add(storage)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._freed, size)

    def _freed(self, size: int) -> None:
        self.now -= size
