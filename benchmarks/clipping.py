"""Does clipping the gradient's norm keep training from falling back? Networks trained without and with it, in turns.

    python benchmarks/clipping.py [--nets frostnet_small_0_5 ...] [--random 6] [--seeds 2] [KEY=VALUE ...]

Trains named networks, or random ones of the network space, by the recipe that the words give. An epoch is a fall where
the validation top-1 is under half of the best before it. Rows go to benchmarks/results/clipping.csv, in place of those
of the same key.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

import pandas as pd

from frostnas import training
from frostnas.artifacts import NetSpec
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.data import Splits, load
from frostnas.engine import Recipe, Workspace, keep_freed_memory, pick_device
from frostnas.nets import NAMED_BLOCKS, zoo_spec
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

RESULTS = Path(__file__).parent / "results" / "clipping.csv"
KEY = ["data", "lr", "net", "seed", "clip_norm"]
CLIPS = ("null", "2")


def trained(config: Config, data: Splits, spec: NetSpec) -> dict[str, object]:
    """Test top-1 in fake-quant, and the epochs after which the network had fallen back."""
    with tempfile.TemporaryDirectory() as folder, Workspace.open(folder, quiet=True) as workspace:
        result, _ = training.run(Recipe.of(config, "train"), config.train, data, spec, workspace, "")
        val = pd.read_csv(Path(folder) / "metrics" / "train.csv").val_top1
    return {"top1": result.fake_quant.test, "falls": int((val < val.cummax() / 2).sum()), "epochs": len(val)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="*", default=[])
    parser.add_argument("--random", type=int, default=0, help="networks drawn from the space")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_intermixed_args()
    keep_freed_memory()

    config = compose_config(given.words)
    data, size = load(config.data, pick_device(config.device)), config.data.side
    classes = len(data.format.classes)
    space = NetworkSpace(from_scratch(config.space.network, NAMED_BLOCKS["frost"], [size], classes))
    specs = [zoo_spec(name, classes, size) for name in given.nets]
    specs += [space.sample(random.Random(number)) for number in range(given.random)]
    for spec in specs:
        for seed in range(given.seeds):
            for clip in CLIPS:
                one = compose_config([*given.words, f"seed={seed}", f"train.optim.clip_norm={clip}"])
                where = f"{config.data.name.value}, {size} pixels", config.train.optim.lr, spec.name, seed, clip
                row = dict(zip(KEY, where, strict=True)) | trained(one, data, spec)
                print(row, flush=True)
                before = [pd.read_csv(given.out, keep_default_na=False)] if given.out.exists() else []
                rows = pd.concat([*before, pd.DataFrame([row])]).drop_duplicates(KEY, keep="last")
                rows.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
