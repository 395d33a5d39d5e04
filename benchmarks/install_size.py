"""What a core install weighs and how long imports take: sizes of the installed packages, medians over fresh processes.

For an environment of its own: `pip install .` there, then with its python

python benchmarks/install_size.py [ROUNDS]
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement

CUDA = ("nvidia-", "cuda-", "triton")
IMPORTS = ("pass", "import frostnas", "import frostnas.cli.app", "import torch", "import frostnas.pipeline")


def closure(name: str, extra: str = "") -> set[str]:
    """Installed distributions that ``name`` with an extra stands on, itself among them."""
    found: set[str] = set()
    todo = [(name, extra)]
    while todo:
        one, wanted = todo.pop()
        try:
            requires = distribution(one).requires or []
        except PackageNotFoundError:
            continue
        if one in found and not wanted:
            continue
        found.add(one)
        for requirement in map(Requirement, requires):
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                todo += [(requirement.name.lower(), part) for part in (requirement.extras or {""})]
    return found


def size_mb(name: str) -> float:
    """Of the files of one installed distribution, MB."""
    files = distribution(name).files or []
    return sum(path.stat().st_size for file in files if (path := file.locate()).is_file()) / 1e6  # type: ignore[attr-defined]


def seconds(statement: str, rounds: int) -> tuple[float, float]:
    """By the clock and of CPU time, medians over fresh processes, the interpreter's own start included."""
    clock, cpu = [], []
    for _ in range(rounds):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", statement], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        clock.append(time.perf_counter() - start)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(clock), statistics.median(cpu)


def main() -> None:
    core = closure("frostnas")
    sizes = {name: size_mb(name) for name in core}
    of_cuda = {name: size for name, size in sizes.items() if name.startswith(CUDA)}
    print(f"core: {len(core)} packages, {sum(sizes.values()):.0f} MB")
    print(f"  of these for CUDA: {len(of_cuda)} packages, {sum(of_cuda.values()):.0f} MB")
    for name, size in sorted(sizes.items(), key=lambda one: -one[1])[:10]:
        print(f"  {name:20} {size:7.1f} MB")
    for extra in ("report", "docs", "openvino", "tensorboard"):
        more = closure("frostnas", extra) - core
        print(f"extra {extra}: {len(more)} more packages, {sum(map(size_mb, more)):.0f} MB")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for statement in IMPORTS:
        clock, cpu = seconds(statement, rounds)
        print(f"{statement:26} {clock:6.2f} s by the clock, {cpu:6.2f} s of CPU time")


if __name__ == "__main__":
    main()
