"""Two processes that share every batch train the network that one process trains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import frostnas
from frostnas.artifacts import LayerSpec, NetResult, Provenance, StemSpec, save

NET = frostnas.NetSpec(
    "n",
    8,
    StemSpec(8, 1),
    (LayerSpec(frostnas.BlockSpec(expand=3), 16, 2),),
    frostnas.HeadSpec(16, classes=10, dropout=0.0),
)
KEYS = ["data.image_size=8", "train.float_epochs=1", "train.epochs=1", "train.frozen_epochs=0", "device=cpu"]
# In fake-quantization a difference in the last bit moves a value by a whole step: compare without it, few steps long.
STEADY = ["train.epochs=0", "quant.gradboost.enabled=false", "data.augment.shift=0", "train.batch_size=256"]


def train(run_dir: Path, net: Path, processes: int, *more: str) -> dict[str, torch.Tensor]:
    words = ["-m", "frostnas", "train", f"run_dir={run_dir}", f"net={net}", *KEYS, *STEADY, *more]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    line = [sys.executable, *(torchrun if processes > 1 else []), *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return load_file(run_dir / "weights.safetensors")


@pytest.fixture
def net_json(tmp_path: Path) -> Path:
    save(tmp_path / "net.json", NetResult(NET, "random", 1.0, 1.0, "a CPU", 0.0, 1, 0, 0.0), Provenance())
    return tmp_path / "net.json"


# Of 129 pieces a process's part of 128 images makes only 128: pairs of its images with the other's are the single
# process's pieces of two.
PIECES = pytest.param(["train.micro_batches=129", "data.test_fraction=0.7"], marks=pytest.mark.slow, id="pieces")


@pytest.mark.parametrize("more", [pytest.param([], id="whole"), PIECES])
def test_two_processes_give_the_weights_of_one(tmp_path: Path, net_json: Path, more: list[str]) -> None:
    alone = train(tmp_path / "one", net_json, 1, *more)
    shared = train(tmp_path / "two", net_json, 2, *more)
    assert alone.keys() == shared.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=2e-3, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}")
