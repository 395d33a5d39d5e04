"""What fake quantization costs: a QAT step of FrostNet-Small against the same network's FP32 step.

    python benchmarks/qat_speed.py [--rounds 9] [--sizes 32 224] [--compile]

The variants take turns, one step each per round; medians and the ratio to FP32 of the same round are reported. Writes
its rows into benchmarks/results/qat_speed.csv, over those of the same size, mode and number of threads, and prints them
as a table. Compiling takes minutes at the first run; torch keeps the result in its cache.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from frostnas.config import GradBoostConfig, OptimConfig
from frostnas.engine import keep_freed_memory, make_optimizer
from frostnas.nets import Net, create_model
from frostnas.quant import GradBoost, QuantState, set_state

RESULTS = Path(__file__).parent / "results" / "qat_speed.csv"
BATCH = {32: 64, 224: 8}
"""By image size in pixels."""
VARIANTS = {
    "FP32": (QuantState.FLOAT, False),
    "QAT": (QuantState.FAKE, False),
    "QAT + GradBoost": (QuantState.FAKE, True),
}
KEY = ["image_size", "batch", "threads", "mode", "variant"]


def network(image_size: int, state: QuantState) -> Net:
    torch.manual_seed(0)
    net = create_model("frostnet_small_1_0", 10, image_size=image_size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    set_state(net, state)
    return net  # type: ignore[no-any-return]


def stepper(net: Net, run: Callable[..., Tensor], boosted: bool, images: Tensor) -> Callable[[], None]:
    """One whole training step: forward (``run``, the net or its compiled form), backward, optimizer."""
    optimizer = make_optimizer(net, OptimConfig())
    if boosted:
        boost = GradBoost(net.parameters(), GradBoostConfig(), 0)
        boost.attach(optimizer)
        boost.boost()
    labels = torch.randint(0, 10, (len(images),))

    def step() -> None:
        F.cross_entropy(run(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure(image_size: int, rounds: int, compiled: bool) -> list[dict[str, object]]:
    """Interleaved steps of all variants: milliseconds, and ratios within a round."""
    batch = BATCH[image_size]
    images = torch.randn(batch, 3, image_size, image_size).to(memory_format=torch.channels_last)
    nets = {state: network(image_size, state) for state in (QuantState.FLOAT, QuantState.FAKE)}
    runs = {state: torch.compile(net) if compiled else net for state, net in nets.items()}
    steps = {name: stepper(nets[state], runs[state], boosted, images) for name, (state, boosted) in VARIANTS.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number >= 2:  # the first two warm up
                times[name].append((time.perf_counter() - start) * 1e3)
    base = np.array(times["FP32"])
    return [
        {
            "image_size": image_size,
            "batch": batch,
            "threads": torch.get_num_threads(),
            "mode": "compiled" if compiled else "eager",
            "variant": name,
            "step_ms": float(np.median(values)),
            "ratio": float(np.median(np.array(values) / base)),
            "ratio_p25": float(np.percentile(np.array(values) / base, 25)),
            "ratio_p75": float(np.percentile(np.array(values) / base, 75)),
        }
        for name, values in times.items()
    ]


def keep(rows: list[dict[str, object]]) -> None:
    """Write the rows over those of the same key."""
    RESULTS.parent.mkdir(exist_ok=True)
    former = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame()
    pd.concat([former, pd.DataFrame(rows)]).drop_duplicates(KEY, keep="last").to_csv(RESULTS, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--compile", action="store_true", help="measure under torch.compile instead")
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(BATCH), choices=sorted(BATCH))
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command line does
    rows: list[dict[str, object]] = []
    for image_size in arguments.sizes:
        rows += measure(image_size, arguments.rounds, arguments.compile)
        keep(rows)
    print("| size, batch | mode | step | median | ratio to FP32 (quartiles) |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['image_size']}, {row['batch']} | {row['mode']} | {row['variant']} | {row['step_ms']:.0f} ms "
            f"| {row['ratio']:.2f} ({row['ratio_p25']:.2f} to {row['ratio_p75']:.2f}) |"
        )


if __name__ == "__main__":
    main()
