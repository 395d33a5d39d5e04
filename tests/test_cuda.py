"""The same code on a CUDA device: the chain, mixed precision, a parent, resuming, and the CPU's results.

Skipped where there is none; `benchmarks/gpu_check.sh` runs it first.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from frostnas.artifacts import ExportReport, NetResult, TrainResult, load
from frostnas.config import GradBoostConfig, OptimConfig
from frostnas.engine import make_optimizer, weights_of
from frostnas.nets import Net, create_model, zoo_spec
from frostnas.quant import GradBoost, QuantState, set_state
from tests.in_process import NET, SHORT, done, interrupted, write_net, write_photos
from tests.tiny import TINY

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CUDA = "device=cuda"
NAME = "frostnet_small_0_35"
LOOSE = ["export.min_agreement=0.5", "export.max_top1_drop=0.5"]


@pytest.fixture
def trained(tmp_path: Path) -> list[str]:
    """`train` of a given network on a few images, for as many epochs as an interrupt needs."""
    data = ["data=imagefolder", f"data.root={write_photos(tmp_path / 'photos')}"]
    net = f"net={write_net(tmp_path / 'net.json')}"
    return ["train", CUDA, f"run_dir={tmp_path / 'run'}", net, *data, *SHORT]


def logits(net: Net, state: QuantState, images: torch.Tensor, device: str) -> torch.Tensor:
    set_state(net.to(device), state)
    with torch.no_grad():
        return net(images.to(device)).cpu()


def test_the_chain_runs_and_its_file_says_what_the_network_said_on_the_device(tmp_path: Path) -> None:
    done("run", CUDA, f"run_dir={tmp_path}", *TINY)
    report = load(tmp_path / "export.json", ExportReport).value
    assert report.agreement >= 0.98
    assert load(tmp_path / "train.json", TrainResult).value.fake_quant.test > 0.3


def test_a_parent_becomes_a_network_at_a_size_that_was_chosen(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(weights_of(Net(zoo_spec(NAME, 10, 32))), weights)
    parent = [f"parent.net={NAME}", f"parent.weights={weights}", "parent.epochs=1", "space.resolutions=[16,24]"]
    rest = ["budget.fraction=0.6", "search_net.finals=2", "search_net.final_epochs=1", "train.head_epochs=1"]
    done("run", CUDA, f"run_dir={tmp_path / 'run'}", *TINY, "search_net=elastic", *TINY, *parent, *rest, *LOOSE)
    assert load(tmp_path / "run" / "net.json", NetResult).value.net.image_size in (16, 24)


def test_mixed_precision_learns_and_goes_on_after_an_interrupt(trained: list[str], tmp_path: Path) -> None:
    run, words = tmp_path / "run", [*trained, "train.amp=true", "train.float_epochs=20", "train.epochs=20"]
    interrupted(run / "metrics" / "train.csv", 5, *words)
    assert "train: going on from epoch" in done(*words)
    assert load(run / "train.json", TrainResult).value.fake_quant.test > 0.5  # of three colours, in twelve images


def test_streamed_images_and_parts_of_batches_train(trained: list[str], tmp_path: Path) -> None:
    done(*trained, "data.in_memory_mb=0", "data.workers=2", "train.micro_batches=2", "data.augment.flip=true")
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_weights_trained_on_the_device_load_on_the_cpu(trained: list[str], tmp_path: Path) -> None:
    done(*trained)
    assert {one.device.type for one in load_file(tmp_path / "run" / "weights.safetensors").values()} == {"cpu"}
    done("export", f"run_dir={tmp_path / 'run'}", "device=cpu", *trained[3:])


@pytest.mark.parametrize("state", [QuantState.FLOAT, QuantState.FAKE])
def test_logits_are_those_of_the_cpu(state: QuantState) -> None:
    torch.manual_seed(0)
    net = create_model("frostnet_small_0_5", 10, image_size=64)
    images = torch.randn(32, 3, 64, 64)
    set_state(net.train(), QuantState.FAKE)
    for _ in range(3):
        net(images)  # sets ranges and batch norm
    on_cpu = logits(net.eval(), state, images, "cpu")
    on_cuda = logits(net, state, images, "cuda")
    distance = float((on_cpu - on_cuda).norm() / on_cpu.norm())
    # TF32 rounds to 10 bits; in fake-quant a value near a boundary may then fall one level further
    assert distance < (1e-2 if state is QuantState.FLOAT else 0.1)


def test_steps_with_gradboost_follow_those_of_the_cpu() -> None:
    losses = {device: _losses(device) for device in ("cpu", "cuda")}
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.05)
    assert losses["cuda"][-1] < losses["cuda"][0]


def _losses(device: str, steps: int = 8) -> list[float]:
    torch.manual_seed(0)
    net = Net(NET)
    images, labels = torch.randn(64, 3, 8, 8), torch.randint(0, 3, (64,))
    net, images, labels = net.to(device), images.to(device), labels.to(device)
    set_state(net.train(), QuantState.FAKE)
    optimizer = make_optimizer(net, OptimConfig(lr=0.05))
    boost = GradBoost(net.parameters(), GradBoostConfig(), 0)
    boost.attach(optimizer)
    boost.boost()
    found = []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return found
