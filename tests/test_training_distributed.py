"""Two processes that share every batch train the network that one process trains."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist

import frostnas
from frostnas.artifacts import LayerSpec, NetResult, Provenance, StemSpec, TrainResult, load, save
from frostnas.artifacts.plan import Plan
from frostnas.config import Config, GradBoostConfig, OptimConfig, QuantConfig, TrainConfig
from frostnas.config.compose import read_stored
from frostnas.engine import Recipe, Saver, Workspace, seed_all
from frostnas.engine.distributed import World
from frostnas.engine.synchronise import SharedBatchNorm
from frostnas.errors import InputError
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme
from frostnas.training.trainer import Trainer

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
    save(tmp_path / "net.json", NetResult(NET, "random", 1.0, 1.0, "a CPU", 0.0, False, 1, 0, 0.0), Provenance())
    return tmp_path / "net.json"


def test_processes_keep_to_a_time_limit_by_one_plan(tmp_path: Path, net_json: Path) -> None:
    config = ["train.epochs=40", "train.frozen_epochs=1", "train.float_epochs=40", "time_limit=40s"]
    train(tmp_path / "run", net_json, 2, *config)
    (row,) = load(tmp_path / "run" / "plan.json", Plan).value.stages
    stored = read_stored(tmp_path / "run" / "config.yaml", Config)
    assert stored.time_limit is None and stored.train.epochs == row.settings["train.epochs"] <= 40
    assert row.taken_s is not None and len(pd.read_csv(tmp_path / "run" / "metrics" / "train.csv")) == (
        stored.train.float_epochs + stored.train.epochs
    )


# Of 129 pieces a process's part of 128 images makes only 128: pairs of its images with the other's are the single
# process's pieces of two.
PIECES = pytest.param(["train.micro_batches=129", "data.test_fraction=0.7"], marks=pytest.mark.slow, id="pieces")


@pytest.mark.parametrize("more", [pytest.param([], id="whole", marks=pytest.mark.slow), PIECES])
def test_two_processes_give_the_weights_of_one(tmp_path: Path, net_json: Path, more: list[str]) -> None:
    alone = train(tmp_path / "one", net_json, 1, *more)
    shared = train(tmp_path / "two", net_json, 2, *more)
    assert alone.keys() == shared.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(shared[name], tensor, rtol=2e-3, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_with_statistics_of_their_own_they_validate_the_network_that_is_kept(tmp_path: Path, net_json: Path) -> None:
    train(tmp_path / "two", net_json, 2, "train.synchronise=false", "train.batch_size=8")
    (kept,) = pd.read_csv(tmp_path / "two/metrics/train.csv").val_top1
    assert load(tmp_path / "two/train.json", TrainResult).value.fp32.val == kept


def test_shared_batch_norm_keeps_its_digits_where_means_are_large(tmp_path: Path) -> None:
    pixels = 1e4 + torch.randn(64, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    shared, plain = SharedBatchNorm(4), nn.BatchNorm2d(4)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        torch.testing.assert_close(shared(pixels), plain(pixels), rtol=0, atol=0.01)
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(shared.running_var, plain.running_var)


PHASES = TrainConfig(float_epochs=1, epochs=3, frozen_epochs=1, ema_decay=0.9, optim=OptimConfig(lr=0.1))
STEPS = 4  # per epoch
Step = Callable[[Trainer, Tensor, Tensor, int], None]


def all_phases(rank: int, size: int, folder: Path, boost: bool, step: Step) -> Trainer:
    """Every phase in double precision, on this process's part of every batch."""
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    seed_all(0)
    config = Config(train=PHASES, quant=QuantConfig(gradboost=GradBoostConfig(enabled=boost)))
    recipe = Recipe.of(config, "train")
    trainer = Trainer(Net(NET, Scheme()).double(), recipe, PHASES, STEPS, 10, World(rank, size))
    noise = torch.Generator().manual_seed(0)
    for state in (QuantState.OBSERVE, QuantState.FAKE, QuantState.FAKE, QuantState.FROZEN):
        trainer.begin_epoch()
        assert trainer.state is state
        for number in range(STEPS):
            pixels = torch.randn(16, 3, 8, 8, generator=noise, dtype=torch.float64)
            labels = torch.randint(10, (16,), generator=noise)
            step(trainer, pixels[rank::size], labels[rank::size], trainer.progress.epoch * STEPS + number)
        trainer.progress.next_epoch()
    if size > 1:
        dist.barrier()  # a rank that leaves early can abort the other
        dist.destroy_process_group()
    return trainer


def keep(folder: Path) -> None:
    """One process; the state after every step is saved."""

    def step(trainer: Trainer, pixels: Tensor, labels: Tensor, number: int) -> None:
        trainer.step(pixels, labels)
        torch.save(trainer.state_dict(), folder / f"{number}.pt")

    all_phases(0, 1, folder, boost=False, step=step)


def compare(rank: int, size: int, folder: Path) -> None:
    """Each step from where one process was, so that a value at a rounding tie speaks in no other step."""

    def step(trainer: Trainer, pixels: Tensor, labels: Tensor, number: int) -> None:
        trainer.step(pixels, labels)
        alone = torch.load(folder / f"{number}.pt")
        torch.testing.assert_close(trainer.state_dict(), alone, rtol=1e-7, atol=1e-10)
        trainer.load_state_dict(alone)

    all_phases(rank, size, folder, boost=False, step=step)


def test_a_quantized_step_of_two_processes_is_that_of_one(tmp_path: Path) -> None:
    keep(tmp_path)
    multiprocessing.spawn(compare, (2, tmp_path), nprocs=2)  # type: ignore[no-untyped-call]


def boosted(rank: int, size: int, folder: Path) -> None:
    trainer = all_phases(rank, size, folder, boost=True, step=lambda trainer, *batch: trainer.step(*batch[:2]))
    torch.save(trainer.state_dict(), folder / f"rank{rank}.pt")


@pytest.mark.slow
def test_processes_with_gradboost_stay_equal_to_the_bit(tmp_path: Path) -> None:
    multiprocessing.spawn(boosted, (2, tmp_path), nprocs=2)  # type: ignore[no-untyped-call]
    first, second = torch.load(tmp_path / "rank0.pt"), torch.load(tmp_path / "rank1.pt")
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def resuming(rank: int, size: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    node = Workspace(folder / f"node{rank}", None, logging.getLogger(), writes=rank == 0)
    saver = Saver(node, "train.pt", "the same run")
    assert saver.live is None
    saver.save(lambda: "what the first process wrote")
    with pytest.raises(InputError, match="the processes found different checkpoints"):
        Saver(node, "train.pt", "the same run")
    if rank:
        shutil.copy(folder / "node0" / "checkpoints" / "train.pt", saver.path)
    assert Saver(node, "train.pt", "the same run").live == "what the first process wrote"
    dist.barrier()
    dist.destroy_process_group()


def test_nodes_that_found_different_checkpoints_do_not_go_on(tmp_path: Path) -> None:
    multiprocessing.spawn(resuming, (2, tmp_path), nprocs=2)  # type: ignore[no-untyped-call]


DYING = """
import os, signal, sys, time
from frostnas.cli import main
from frostnas.training import trainer

how = sys.argv.pop(1)
step, done = trainer.Trainer.step, 0

def dying(self, *batch):
    global done
    if self.world.rank == 1 and done == 8 and how == "interrupted":
        os.kill(os.getppid(), signal.SIGINT)  # torchrun, which passes it on to both
        time.sleep(3)
    elif self.world.rank == 1 and done == 8:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "silent":
            time.sleep(300)
        raise OSError("the disk is on fire")
    done += 1
    step(self, *batch)

trainer.Trainer.step = dying
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("how", "said", "next_step"),
    [
        ("killed", "Signal 9 (SIGKILL) received", 9),  # torchrun's; it may stop the other before that one notices
        pytest.param("interrupted", "interrupted; the same command goes on from here", 10, marks=pytest.mark.slow),
        pytest.param("failing", "the disk is on fire", 9, marks=pytest.mark.slow),
        pytest.param("silent", "another one did not answer for 20 s", 9, marks=pytest.mark.slow),
    ],
)
def test_a_process_that_dies_or_is_stopped_ends_the_job_and_leaves_a_checkpoint(
    how: str, said: str, next_step: int, tmp_path: Path, net_json: Path
) -> None:
    script, run_dir = tmp_path / "dying.py", tmp_path / "run"
    script.write_text(DYING)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script), how]
    patience_s = 20 if how == "silent" else 120  # a process may begin some seconds after the other on a busy machine
    words = ["train", f"run_dir={run_dir}", f"net={net_json}", *KEYS, f"peer_timeout_s={patience_s}", "checkpoint_s=0"]
    died = subprocess.run([sys.executable, *torchrun, *words], capture_output=True, text=True, check=False, timeout=240)
    assert died.returncode != 0
    assert said in died.stderr
    assert (run_dir / "checkpoints" / "train.pt").is_file()
    done = subprocess.run(
        [sys.executable, "-m", "frostnas", *words], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert f"going on from epoch 1, step {next_step}\n" in done.stdout
