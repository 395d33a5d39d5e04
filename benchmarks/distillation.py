"""What a teacher is worth: QAT with and without distillation from the network's own FP32 weights, on harder digits.

    python benchmarks/distillation.py [--seeds 3] [--work runs/bench/distillation]

Network and data are those of benchmarks/ablation_qat.py: 12 epochs in FP32, then 3 of QAT from there at a tenth of the
learning rate, with the teacher or without. Goes on where its work folder ends, prints the table of docs/quantization.md
and writes benchmarks/results/distillation.csv. Accuracies are those of the test split.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from safetensors.torch import load_file, save_file

from ablation_qat import FP32, OFF, SUITES, narrow_net
from frostnas import training
from frostnas.config.compose import compose_config
from frostnas.data import load
from frostnas.engine import Recipe, Workspace, pick_device
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme, set_state

RESULTS = Path(__file__).parent / "results" / "distillation.csv"
SUITE, EPOCHS, TUNING = SUITES[0], 12, 3
NET = narrow_net(SUITE.image_size)
FLOAT = tuple(word.format(epochs=EPOCHS) for word in FP32.overrides)
TUNED = (f"train.epochs={TUNING}", "train.float_epochs=0", "train.frozen_epochs=1", "train.optim.lr=0.01", OFF)
START, PLAIN, TAUGHT = "FP32, then PTQ", "QAT from FP32 weights", "the same, taught by them"


def trained(arm: str, seed: int, work: Path, words: tuple[str, ...], teacher: Net | None = None) -> Path:
    """Weights of a finished run; its figures are a CSV beside them."""
    path = work / f"{arm}-{seed}.safetensors".replace(" ", "_")
    if path.exists():
        return path
    images = [f"data={SUITE.data}", f"data.image_size={SUITE.image_size}"]
    common = [*images, "train.optim.lr=0.1", "train.optim.clip_norm=null", f"seed={seed}"]
    config = compose_config([*common, *SUITE.overrides, *words])
    data = load(config.data, pick_device(config.device))
    with Workspace.open(path.with_suffix(""), quiet=True) as workspace:
        recipe, start = Recipe.of(config, "train"), config.train.weights
        result, state = training.run(
            recipe, config.train, data, NET, workspace, str(config), start=start, teacher=teacher
        )
    figures = {"fp32": result.fp32.test, "int8": result.fake_quant.test, "seconds": result.seconds}
    pd.DataFrame([{"arm": arm, "seed": seed, **figures}]).to_csv(path.with_suffix(".csv"), index=False)
    save_file(state, path)
    return path


def in_floating_point(weights: Path) -> Net:
    teacher = Net(NET, Scheme())
    teacher.load_state_dict(load_file(weights))
    set_state(teacher.eval(), QuantState.FLOAT)
    return teacher


def runs(seeds: int, work: Path) -> pd.DataFrame:
    """A row per run."""
    paths = []
    for seed in range(seeds):
        start = trained(START, seed, work, FLOAT)
        tuned = (*TUNED, f"train.weights={start}")
        plain, taught = trained(PLAIN, seed, work, tuned), trained(TAUGHT, seed, work, tuned, in_floating_point(start))
        paths += [start, plain, taught]
    return pd.concat([pd.read_csv(path.with_suffix(".csv")) for path in paths], ignore_index=True)


def table(rows: pd.DataFrame) -> str:
    """Mean and standard deviation over the seeds, and the paired difference to no teacher, as Markdown."""
    plain = rows[rows["arm"] == PLAIN].set_index("seed")["int8"]
    lines = ["| training | FP32 top-1 | quantized top-1 | minus no teacher | seeds |", "|---|---|---|---|---|"]
    for arm, group in rows.groupby("arm", sort=False):
        fp32, quantized = group["fp32"] * 100, group["int8"] * 100
        paired = (group.set_index("seed")["int8"] - plain) * 100
        gain = "" if arm == PLAIN else f"{paired.mean():+.2f} ± {paired.std():.2f}"
        lines.append(
            f"| {arm} | {fp32.mean():.2f} ± {fp32.std():.2f} | {quantized.mean():.2f} ± {quantized.std():.2f} "
            f"| {gain} | {len(group)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/bench/distillation"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = runs(arguments.seeds, arguments.work)
    rows.to_csv(arguments.results, index=False)
    print(table(rows))


if __name__ == "__main__":
    main()
