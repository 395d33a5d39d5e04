"""What StatAssist and GradBoost are worth: ways into INT8 at equal epochs, over seeds, on digits and harder digits.

    python benchmarks/ablation_qat.py [--seeds 3] [--epochs 12] [--data digits hard_digits]

Writes benchmarks/results/ablation_qat.csv (one row per run) and prints the table of docs/quantization.md. Accuracies
are those of the exported arithmetic (fake-quant evaluation) on the test split.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from frostnas import training
from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.config.compose import compose_config
from frostnas.data import load
from frostnas.engine import Workspace, pick_device

RESULTS = Path(__file__).parent / "results" / "ablation_qat.csv"
IMAGE_SIZE = 16
FLOAT_EPOCHS = 1  # of StatAssist, as published
BOOST = "quant.gradboost."


@dataclass(frozen=True)
class Arm:
    """One way to train; ``overrides`` may use {epochs}, {rest} (epochs less StatAssist's) and {tuning}."""

    name: str
    overrides: tuple[str, ...]
    tunes: bool = False
    """Starts from the FP32 weights of the same seed, for a quarter of the epochs at a tenth of the learning rate."""


PLAIN = ("train.float_epochs=0", "train.epochs={epochs}", f"{BOOST}enabled=false")
ASSISTED = (f"train.float_epochs={FLOAT_EPOCHS}", "train.epochs={rest}")
ARMS = (
    Arm("FP32, then PTQ", ("train.float_epochs={epochs}", "train.epochs=0", f"{BOOST}enabled=false")),
    Arm(
        "FP32, then QAT fine-tuning",
        ("train.float_epochs=0", "train.epochs={tuning}", "train.optim.lr=0.005", f"{BOOST}enabled=false"),
        tunes=True,
    ),
    Arm("QAT from scratch", PLAIN),
    Arm("+ GradBoost corrected", (*PLAIN[:2], f"{BOOST}mode=corrected")),
    Arm("+ GradBoost released", (*PLAIN[:2], f"{BOOST}mode=released")),
    Arm("+ StatAssist", (*ASSISTED, f"{BOOST}enabled=false")),
    Arm("+ StatAssist + GradBoost corrected", (*ASSISTED, f"{BOOST}mode=corrected")),
    Arm("+ StatAssist + GradBoost released", (*ASSISTED, f"{BOOST}mode=released")),
)


def small_net() -> NetSpec:
    """Three Frost bottlenecks of rising width."""
    block = BlockSpec(reuse="squeeze_4", expand=3)
    layers = (LayerSpec(block, 24, 1), LayerSpec(block, 40, 2), LayerSpec(block, 40, 1))
    return NetSpec("ablation", IMAGE_SIZE, StemSpec(16, 2), layers, HeadSpec(128, classes=10, dropout=0.1))


def run_seed(data_name: str, seed: int, epochs: int) -> Iterator[dict[str, object]]:
    """All arms of one seed; the tuned one starts from the first one's weights."""
    words = {"epochs": epochs, "rest": epochs - FLOAT_EPOCHS, "tuning": max(1, epochs // 4)}
    with tempfile.TemporaryDirectory() as name:
        weights = Path(name) / "fp32.safetensors"
        for index, arm in enumerate(ARMS):
            overrides = [one.format(**words) for one in arm.overrides]
            common = [f"data={data_name}", f"data.image_size={IMAGE_SIZE}", "train.frozen_epochs=1", f"seed={seed}"]
            if arm.tunes:
                common.append(f"train.weights={weights}")
            if "train.epochs=0" in overrides:
                common[2] = "train.frozen_epochs=0"
            config = compose_config([*common, *overrides])
            data = load(config.data, pick_device(config.device))
            with Workspace.open(Path(name) / str(index), quiet=True) as workspace:
                result, state = training.run(config, data, small_net(), workspace)
            if index == 0:
                save_file(state, weights)
            yield {
                "data": data_name,
                "seed": seed,
                "arm": arm.name,
                "fp32": result.fp32.test,
                "int8": result.fake_quant.test,
                "seconds": result.seconds,
            }


def table(rows: pd.DataFrame) -> str:
    """Mean and standard deviation over seeds, per data set and arm, as Markdown."""
    lines = ["| data | training | FP32 top-1 | INT8 top-1 | INT8 lowest seed |", "|---|---|---|---|---|"]
    for (data, arm), group in rows.groupby(["data", "arm"], sort=False):
        fp32, int8 = group["fp32"] * 100, group["int8"] * 100
        lines.append(
            f"| {data} | {arm} | {fp32.mean():.2f} ± {fp32.std():.2f} | {int8.mean():.2f} ± {int8.std():.2f} "
            f"| {int8.min():.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--data", nargs="+", default=["digits", "hard_digits"])
    arguments = parser.parse_args()
    rows = []
    for data_name in arguments.data:
        for seed in range(arguments.seeds):
            for row in run_seed(data_name, seed, arguments.epochs):
                rows.append(row)
                print(row, flush=True)
                RESULTS.parent.mkdir(exist_ok=True)
                pd.DataFrame(rows).to_csv(RESULTS, index=False)
    print(table(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
