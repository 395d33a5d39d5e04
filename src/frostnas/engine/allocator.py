"""The C library's allocator, told to keep the memory that a training step frees for the next step."""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of `mallopt`'s parameters, from glibc's malloc.h


def keep_freed_memory() -> bool:
    """Return freed memory to the system only when the process ends; whether that was possible (glibc alone can).

    By default glibc gives back what a step's activations took, and the next step takes the same pages anew, each
    zeroed by the kernel. For the whole process; the most memory it takes stays the same.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # Older versions refuse more than 32 MiB. One has to be set, since the other switches the default's growth off.
    mapped = mallopt(MMAP_THRESHOLD, 2**30) or mallopt(MMAP_THRESHOLD, 2**25)
    return bool(mapped and mallopt(TRIM_THRESHOLD, 2**31 - 1))
