"""Two processes that share every batch, and the scoring, search what one process searches."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing

from frostnas.artifacts import Provenance, save, write_rows
from frostnas.engine import Recipe, seed_all
from frostnas.engine.distributed import World
from frostnas.quant import Scheme
from frostnas.search.net.policy import UniformPaths
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.training import SupernetTrainer
from tests.search_parts import TINY, space_of, table_of, tiny_config

KEYS = ["data.test_fraction=0.6", "search_net.float_epochs=1", "search_net.epochs=1", "block=frost", "device=cpu"]
KEYS += ["target_cpu=test"]  # the made-up table's


def trained(rank: int, size: int, folder: Path) -> None:
    """Five steps in double precision and without quantizers, where only the order of sums differs; saved by rank 0."""
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    config = tiny_config("search_net.optim.lr=0.02", "space.network.dropout=0.0")
    seed_all(0)
    supernet = Supernet(space_of(config), Scheme()).double()
    trainer = SupernetTrainer(
        supernet, UniformPaths(supernet.space, 0), Recipe.of(config, "search_net"), 5, World(rank, size)
    )
    supernet.train()
    noise = torch.Generator().manual_seed(0)
    for _ in range(5):
        pixels = torch.randn(16, 3, 8, 8, generator=noise, dtype=torch.float64)
        labels = torch.randint(10, (16,), generator=noise)
        trainer.step(pixels[rank::size], labels[rank::size])
    if rank == 0:
        torch.save(supernet.state_dict(), folder / f"{size}.pt")
    if size > 1:
        dist.barrier()  # a rank that leaves early can abort the other
        dist.destroy_process_group()


def test_two_processes_train_the_supernet_of_one(tmp_path: Path) -> None:
    trained(0, 1, tmp_path)
    multiprocessing.spawn(trained, (2, tmp_path), nprocs=2)  # type: ignore[no-untyped-call]
    alone, shared = torch.load(tmp_path / "1.pt"), torch.load(tmp_path / "2.pt")
    assert alone.keys() == shared.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=1e-8, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}")


def search(run_dir: Path, processes: int, strategy: str) -> subprocess.CompletedProcess[str]:
    words = ["-m", "frostnas", "search-net", f"run_dir={run_dir}", *TINY, *KEYS, f"search_net={strategy}"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    line = [sys.executable, *(torchrun if processes > 1 else []), *words]
    alike = {**os.environ, "OMP_NUM_THREADS": "1"}  # torchrun's own default; sums depend on the number of threads
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300, env=alike)


@pytest.mark.parametrize("strategy", ["evolution", pytest.param("gradient", marks=pytest.mark.slow)])
def test_two_processes_score_what_one_does(tmp_path: Path, strategy: str) -> None:
    """Both train; then one alone scores the supernet that they trained."""
    table, two, one = table_of(space_of(tiny_config())), tmp_path / "two", tmp_path / "one"
    two.mkdir()
    digest = write_rows(two / "latency.csv", table.rows)
    save(two / "latency.json", replace(table, rows=(), csv_sha256=digest), Provenance())
    done = search(two, 2, strategy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("networks scored") == 1
    shutil.copytree(two, one)
    (one / "net.json").unlink()
    (one / "pareto.csv").unlink()
    (one / "checkpoints" / "search_net_scores.pt").unlink()
    done = search(one, 1, strategy)
    assert done.returncode == 0, done.stderr
    assert (one / "pareto.csv").read_bytes() == (two / "pareto.csv").read_bytes()
    assert len(pd.read_csv(one / "metrics" / "search-net.csv")) == 2
    assert "search-net: going on from epoch 3, step 1" in (one / "frostnas.log").read_text()
