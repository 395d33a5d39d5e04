"""What the settings of ONNX Runtime change for an INT8 network on this machine.

    python benchmarks/runtime_settings.py [--net frostnet_small_1_0] [--rounds 40]

The settings take turns in a random order, one run each per round after one that is not timed; the ratio is that to the
first setting within a round. Prints the table of docs/deployment.md.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime as ort

from frostnas.latency.models import network_model
from frostnas.nets import zoo_spec
from frostnas.quant import Scheme

ALL = sorted(os.sched_getaffinity(0))
REST_S = 0.05
"""Between two settings: threads of the former one may still spin."""


@dataclass(frozen=True)
class Setting:
    name: str
    level: ort.GraphOptimizationLevel = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    threads: int = 1
    spinning: bool = False
    cpus: int = len(ALL)
    """Of these the process may use so many, from before its session is made."""
    batch: int = 1


SETTINGS = (
    Setting("one thread, all optimizations"),
    Setting("optimizations: extended", level=ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED),
    Setting("optimizations: basic", level=ort.GraphOptimizationLevel.ORT_ENABLE_BASIC),
    Setting("optimizations: none", level=ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
    Setting("two threads, spinning", threads=2, spinning=True),
    Setting("two threads, not spinning", threads=2),
    Setting("two threads, spinning, on one CPU", threads=2, spinning=True, cpus=1),
    Setting("batch 4, per image", batch=4),
    Setting("batch 16, per image", batch=16),
)


def session(path: Path, setting: Setting) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.graph_optimization_level = setting.threads, setting.level
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(setting.spinning)))
    options.log_severity_level = 3
    os.sched_setaffinity(0, ALL[: setting.cpus])  # threads that the session starts inherit it
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    finally:
        os.sched_setaffinity(0, ALL)


def runner(path: Path, setting: Setting, side: int) -> Callable[[], float]:
    """A timed run: milliseconds per image."""
    live = session(path, setting)
    images = np.random.default_rng(0).standard_normal((setting.batch, 3, side, side)).astype(np.float32)

    def run() -> float:
        os.sched_setaffinity(0, ALL[: setting.cpus])
        live.run(["logits"], {"image": images})
        start = time.perf_counter()
        live.run(["logits"], {"image": images})
        elapsed = time.perf_counter() - start
        os.sched_setaffinity(0, ALL)
        time.sleep(REST_S)
        return elapsed * 1e3 / setting.batch

    return run


def first_runs(path: Path, side: int) -> list[float]:
    """Milliseconds of making a session, and of its first four runs."""
    image, times = np.zeros((1, 3, side, side), np.float32), [time.perf_counter()]
    live = session(path, SETTINGS[0])
    times.append(time.perf_counter())
    for _ in range(4):
        live.run(["logits"], {"image": image})
        times.append(time.perf_counter())
    return list(np.diff(times) * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="frostnet_small_1_0", help="a name that frostnas zoo lists")
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    spec = zoo_spec(arguments.net)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(network_model(spec, Scheme()), path)
        opening = [first_runs(path, spec.image_size) for _ in range(5)]
        runs = {setting.name: runner(path, setting, spec.image_size) for setting in SETTINGS}
        times: dict[str, list[float]] = {name: [] for name in runs}
        order = list(runs)
        for _ in range(arguments.rounds):
            random.shuffle(order)
            for name in order:
                times[name].append(runs[name]())
    base = np.array(times[SETTINGS[0].name])
    print("| setting | ms | ratio (quartiles) |\n|---|--:|--:|")
    for name, values in times.items():
        low, middle, high = np.percentile(np.array(values) / base, (25, 50, 75))
        print(f"| {name} | {median(values):.2f} | {middle:.2f} ({low:.2f} to {high:.2f}) |")
    shown = ", ".join(f"{median(column):.1f}" for column in zip(*opening, strict=True))
    print(f"\nmaking a session, then its first four runs, ms: {shown}")


if __name__ == "__main__":
    main()
