"""What StatAssist and GradBoost are worth: ways into INT8 at equal epochs, over seeds, on digits and harder digits.

    python benchmarks/ablation_qat.py [--seeds 3] [--epochs 12] [--work runs/bench/ablation]

Adds a row per run to benchmarks/results/ablation_qat.csv, leaves out rows that are there, and prints the table of
docs/quantization.md. Accuracies are those of the exported arithmetic (fake-quant evaluation) on the test split.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from frostnas import training
from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.data import load
from frostnas.engine import Recipe, Workspace, pick_device

RESULTS = Path(__file__).parent / "results" / "ablation_qat.csv"
KEY = ["data", "weight_bits", "seed", "arm", "epochs"]
FLOAT_EPOCHS = 1  # of StatAssist, as published
OFF = "quant.gradboost.enabled=false"


@dataclass(frozen=True)
class Suite:
    """A data set at one size, and the weight bits that networks for it are trained to."""

    data: str
    image_size: int
    weight_bits: int
    overrides: tuple[str, ...] = ()


SUITES = (
    Suite("hard_digits", 32, 8, ("data.augment.shift=0.06", "data.augment.rotate=8")),
    Suite("digits", 16, 8),
    Suite("hard_digits", 32, 4, ("data.augment.shift=0.06", "data.augment.rotate=8")),
)
"""4-bit weights are no setting of frostnas: they show what the methods do where rounding is harder than at 8 bits."""


@dataclass(frozen=True)
class Arm:
    """One way to train; ``overrides`` may use {epochs}, {rest} (epochs less StatAssist's), {half} and {tuning}."""

    name: str
    overrides: tuple[str, ...]
    tunes: bool = False
    """Starts from the FP32 weights of the same seed."""


PLAIN = ("train.float_epochs=0", "train.epochs={epochs}", "train.frozen_epochs=1")
ASSISTED = (f"train.float_epochs={FLOAT_EPOCHS}", "train.epochs={rest}", "train.frozen_epochs=1")
HALF = ("train.float_epochs={half}", "train.epochs={half}", "train.frozen_epochs=1")
CORRECTED, RELEASED = "quant.gradboost.mode=corrected", "quant.gradboost.mode=released"
FP32 = Arm("FP32", ("train.float_epochs={epochs}", "train.epochs=0", "train.frozen_epochs=0", OFF))
ARMS = (
    Arm("FP32, then PTQ", ("train.float_epochs=0", "train.epochs=0", "train.frozen_epochs=0", OFF), tunes=True),
    Arm(
        "FP32, then QAT fine-tuning",
        ("train.float_epochs=0", "train.epochs={tuning}", "train.frozen_epochs=1", "train.optim.lr=0.01", OFF),
        tunes=True,
    ),
    Arm("QAT from scratch", (*PLAIN, OFF)),
    Arm("+ StatAssist", (*ASSISTED, OFF)),
    Arm("+ GradBoost corrected", (*PLAIN, CORRECTED)),
    Arm("+ GradBoost released", (*PLAIN, RELEASED)),
    Arm("+ StatAssist + GradBoost corrected", (*ASSISTED, CORRECTED)),
    Arm("+ StatAssist + GradBoost released", (*ASSISTED, RELEASED)),
    Arm("+ StatAssist of half the epochs", (*HALF, OFF)),
    Arm("+ StatAssist of half the epochs + GradBoost corrected", (*HALF, CORRECTED)),
)


def narrow_net(image_size: int) -> NetSpec:
    """Five Frost bottlenecks with 5x5 depthwise convolutions at an eighth to a third of FrostNet-Small's width."""
    wide, wider = (BlockSpec(reuse="squeeze_4", expand=expand, spatial="depthwise_5") for expand in (3, 6))
    rows = ((wide, 16, 2), (wide, 16, 1), (wide, 24, 2), (wide, 24, 1), (wider, 40, 1))
    stem = StemSpec(8, 2 if image_size >= 32 else 1)
    head = HeadSpec(128, classes=10, dropout=0.1)
    return NetSpec("ablation", image_size, stem, tuple(LayerSpec(*row) for row in rows), head)


def config_of(suite: Suite, arm: Arm, seed: int, epochs: int, fp32: Path) -> Config:
    words = {"epochs": epochs, "rest": epochs - FLOAT_EPOCHS, "half": epochs // 2, "tuning": max(1, epochs // 4)}
    images = [f"data={suite.data}", f"data.image_size={suite.image_size}"]
    common = [*images, "train.optim.lr=0.1", "train.optim.clip_norm=null", f"seed={seed}"]
    start = [f"train.weights={fp32}"] if arm.tunes else []
    config = compose_config([*common, *suite.overrides, *start, *(one.format(**words) for one in arm.overrides)])
    config.quant.weight_bits = suite.weight_bits  # behind the check, which knows 8 and 7
    return config


def train(suite: Suite, arm: Arm, seed: int, epochs: int, work: Path) -> dict[str, object]:
    """One run of one arm, and of FP32 before it where it starts there and nobody has trained that yet."""
    fp32 = work / f"{suite.data}-{seed}-{epochs}.safetensors"
    if arm.tunes and not fp32.exists():
        train(suite, FP32, seed, epochs, work)
    config = config_of(suite, arm, seed, epochs, fp32)
    data = load(config.data, pick_device(config.device))
    name = f"{suite.data}-{suite.weight_bits}-{seed}-{epochs}-{arm.name}".replace(" ", "")
    with Workspace.open(work / name, quiet=True) as workspace:
        result, state = training.run(
            Recipe.of(config, "train"),
            config.train,
            data,
            narrow_net(suite.image_size),
            workspace,
            str(config),
            start=fp32 if arm.tunes else None,
        )
    if arm is FP32:
        save_file(state, fp32)
    figures = {"fp32": result.fp32.test, "int8": result.fake_quant.test, "seconds": result.seconds}
    return {**dict(zip(KEY, (suite.data, suite.weight_bits, seed, arm.name, epochs), strict=True)), **figures}


def missing(rows: pd.DataFrame, seeds: int, epochs: int) -> Iterator[tuple[Suite, Arm, int]]:
    """The runs that have no row yet; all arms of a suite's seed before the next seed."""
    done = set(rows[KEY].itertuples(index=False, name=None)) if len(rows) else set()
    for suite in SUITES:
        for seed in range(seeds):
            for arm in ARMS:
                if (suite.data, suite.weight_bits, seed, arm.name, epochs) not in done:
                    yield suite, arm, seed


def table(rows: pd.DataFrame) -> str:
    """Mean and standard deviation over seeds, and the paired difference to QAT from scratch, as Markdown."""
    lines = [
        "| data, weights | training | FP32 top-1 | quantized top-1 | minus QAT from scratch | seeds |",
        "|---|---|---|---|---|---|",
    ]
    plain = rows[rows["arm"] == "QAT from scratch"].set_index(KEY[:3])["int8"]
    for (data, bits, arm), group in rows.groupby(["data", "weight_bits", "arm"], sort=False):
        fp32, quantized = group["fp32"] * 100, group["int8"] * 100
        paired = (group.set_index(KEY[:3])["int8"] - plain).dropna() * 100
        gain = "" if arm == "QAT from scratch" else f"{paired.mean():+.2f} ± {paired.std():.2f}"
        lines.append(
            f"| {data}, {bits} bits | {arm} | {fp32.mean():.2f} ± {fp32.std():.2f} "
            f"| {quantized.mean():.2f} ± {quantized.std():.2f} | {gain} | {len(group)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--work", type=Path, default=Path("runs/bench/ablation"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = pd.read_csv(arguments.results) if arguments.results.exists() else pd.DataFrame()
    for suite, arm, seed in missing(rows, arguments.seeds, arguments.epochs):
        row = train(suite, arm, seed, arguments.epochs, arguments.work)
        rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
        arguments.results.parent.mkdir(exist_ok=True)
        rows.to_csv(arguments.results, index=False)
        print(row, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
