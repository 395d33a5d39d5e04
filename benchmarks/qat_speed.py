"""What fake quantization costs: a QAT step of FrostNet-Small against the same network's FP32 step.

    python benchmarks/qat_speed.py [--rounds 9] [--sizes 32 224] [--compile] [--device cuda]

The variants take turns, one step each per round; medians and the ratio to FP32 of the same round are reported. Writes
its rows into benchmarks/results/qat_speed.csv, over those of the same size, mode and number of threads, and prints them
as a table. Compiling takes minutes at the first run; torch keeps the result in its cache. On CUDA the steps run in
mixed precision too.
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
BATCH = {"cpu": {32: 64, 224: 8}, "cuda": {32: 512, 224: 128}}
"""By device and image size in pixels."""
VARIANTS = {
    "FP32": (QuantState.FLOAT, False, False),
    "QAT": (QuantState.FAKE, False, False),
    "QAT + GradBoost": (QuantState.FAKE, True, False),
    "FP32, float16": (QuantState.FLOAT, False, True),
    "QAT, float16": (QuantState.FAKE, False, True),
}
"""Name -> state of the quantizers, GradBoost, mixed precision (on CUDA alone)."""
KEY = ["device", "image_size", "batch", "threads", "mode", "variant"]


def network(image_size: int, state: QuantState, device: torch.device) -> Net:
    torch.manual_seed(0)
    net = create_model("frostnet_small_1_0", 10, image_size=image_size)
    set_state(net, state)
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def stepper(net: Net, run: Callable[..., Tensor], boosted: bool, half: bool, images: Tensor) -> Callable[[], None]:
    """One whole training step: forward (``run``, the net or its compiled form), backward, optimizer."""
    optimizer = make_optimizer(net, OptimConfig())
    if boosted:
        boost = GradBoost(net.parameters(), GradBoostConfig(), 0)
        boost.attach(optimizer)
        boost.boost()
    labels = torch.randint(0, 10, (len(images),), device=images.device)
    scaler = torch.amp.GradScaler(images.device.type, enabled=half)

    def step() -> None:
        with torch.autocast(images.device.type, torch.float16, enabled=half):
            logits = run(images)
        scaler.scale(F.cross_entropy(logits.float(), labels)).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        if images.is_cuda:
            torch.cuda.synchronize()

    return step


def measure(image_size: int, rounds: int, compiled: bool, device: torch.device) -> list[dict[str, object]]:
    """Interleaved steps of all variants: milliseconds, and ratios within a round."""
    batch = BATCH[device.type][image_size]
    images = torch.randn(batch, 3, image_size, image_size).to(device, memory_format=torch.channels_last)
    nets = {state: network(image_size, state, device) for state in (QuantState.FLOAT, QuantState.FAKE)}
    runs = {state: torch.compile(net) if compiled else net for state, net in nets.items()}
    steps = {
        name: stepper(nets[state], runs[state], boosted, half, images)
        for name, (state, boosted, half) in VARIANTS.items()
        if device.type == "cuda" or not half
    }
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
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
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
    parser.add_argument("--sizes", type=int, nargs="+", default=sorted(BATCH["cpu"]), choices=sorted(BATCH["cpu"]))
    parser.add_argument("--device", default="cpu", choices=sorted(BATCH))
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command line does
    rows: list[dict[str, object]] = []
    for image_size in arguments.sizes:
        rows += measure(image_size, arguments.rounds, arguments.compile, torch.device(arguments.device))
        keep(rows)
    print("| size, batch | mode | step | median | ratio to FP32 (quartiles) |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['image_size']}, {row['batch']} | {row['mode']} | {row['variant']} | {row['step_ms']:.3g} ms "
            f"| {row['ratio']:.2f} ({row['ratio_p25']:.2f} to {row['ratio_p75']:.2f}) |"
        )


if __name__ == "__main__":
    main()
