"""Memory that a step frees is there for the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import torch
from frostnas.engine import keep_freed_memory

def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step() -> None:
    kept = [torch.ones(2**21) for _ in range(8)]  # 8 MiB each

assert keep_freed_memory()
for _ in range(3):
    step()
before = faults()
step()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
@pytest.mark.slow
def test_pages_are_taken_once_where_freed_memory_is_kept() -> None:
    run = subprocess.run([sys.executable, "-c", STEPS], check=True, capture_output=True, text=True)
    pages = 8 * 2**23 // 4096
    assert int(run.stdout) < pages / 100
