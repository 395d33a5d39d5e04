"""From trained weights to a network of other classes: what learns when, what is tried first, what each size gets."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from frostnas import training
from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec, TrainResult
from frostnas.config import Config, DataConfig, DistillConfig, GradBoostConfig, OptimConfig, QuantConfig, TrainConfig
from frostnas.config.compose import compose_config
from frostnas.data import Splits, load
from frostnas.data.memory import MemoryImages
from frostnas.engine import Recipe, Workspace, predict, seed_all
from frostnas.engine.optim import classifier_of
from frostnas.errors import InputError
from frostnas.nets import Net
from frostnas.nets.weights import load_weights
from frostnas.quant import ActivationQuantizer, ConvBN, QuantState, Scheme, set_state
from frostnas.training.calibrate import Calibrated, calibrate, loss_of, restate
from frostnas.training.trainer import Trainer

LAYERS = (LayerSpec(BlockSpec(expand=3), 8, 1), LayerSpec(BlockSpec(reuse="none", expand=3), 16, 2))
NET = NetSpec("tiny", 8, StemSpec(8, 1), LAYERS, HeadSpec(32, classes=10, dropout=0.0))
TRAIN = TrainConfig(
    batch_size=32, head_epochs=1, float_epochs=1, epochs=2, frozen_epochs=1, trunk_lr=0.2, optim=OptimConfig(lr=0.05)
)
QUIET = QuantConfig(gradboost=GradBoostConfig(enabled=False))


@pytest.fixture(scope="module")
def data() -> Splits:
    splits = load(DataConfig(image_size=8), torch.device("cpu"))
    return replace(splits, train=splits.train.subset(torch.arange(0, 640, 2)))


@pytest.fixture
def other_task(tmp_path: Path) -> Path:
    """Weights of the same layers for five classes."""
    seed_all(1)
    path = tmp_path / "five.safetensors"
    save_file({name: one.contiguous() for name, one in Net(NET.with_classes(5)).state_dict().items()}, path)
    return path


def trainer_of(train: TrainConfig, steps: int = 3) -> Trainer:
    seed_all(0)
    recipe = Recipe.of(Config(train=train, quant=QUIET), "train")
    return Trainer(Net(NET, Scheme()), recipe, train, steps, 10, size=8)


def batch(side: int = 8) -> tuple[Tensor, Tensor]:
    noise = torch.Generator().manual_seed(0)
    return torch.randn(32, 3, side, side, generator=noise), torch.arange(32) % 10


def moved(trainer: Trainer, pixels: Tensor, labels: Tensor) -> dict[str, float]:
    """Largest change of every parameter in one step."""
    before = {name: one.detach().clone() for name, one in trainer.model.named_parameters()}
    trainer.begin_epoch()
    trainer.step(pixels, labels)
    return {name: float((one.detach() - before[name]).abs().max()) for name, one in trainer.model.named_parameters()}


def test_the_head_comes_first_and_alone_while_batch_norm_gets_used_to_the_images() -> None:
    trainer = trainer_of(TRAIN)
    assert [phase.name for phase in trainer.recipe.phases] == ["head", "float", "qat", "frozen"]
    mean = trainer.model.stem.bn.running_mean.clone()  # type: ignore[union-attr, operator]
    classifier = classifier_of(trainer.model)
    assert classifier is not None
    own = {name for name, one in trainer.model.named_parameters() if any(one is own for own in classifier.parameters())}
    change = moved(trainer, *batch())
    assert {name for name, size in change.items() if size > 0} == own
    assert not torch.equal(trainer.model.stem.bn.running_mean, mean)  # type: ignore[union-attr, arg-type]
    trainer.progress.next_epoch()
    assert all(size > 0 for size in moved(trainer, *batch()).values())


def test_the_trunk_learns_at_its_share_of_the_rate_and_quantized_epochs_begin_lower() -> None:
    trainer = trainer_of(replace(TRAIN, head_epochs=0, qat_lr=0.1), steps=10)
    trainer.begin_epoch()
    trainer.set_lr()
    assert {round(group["lr"], 6) for group in trainer.optimizer.param_groups} == {0.05, 0.01}
    trainer.progress.next_epoch()
    assert trainer.set_lr() == pytest.approx(0.005)


def trained(folder: Path, data: Splits, train: TrainConfig, start: Path | None) -> tuple[TrainResult, list[str]]:
    config = Config(train=train, quant=QUIET)
    with Workspace.open(folder, quiet=True) as workspace:
        result, _ = training.run(
            Recipe.of(config, "train"), train, data, NET, workspace, str(config), start=start, teacher=None
        )
    with (folder / "metrics" / "train.csv").open(newline="") as file:
        return result, [row["phase"] for row in csv.DictReader(file)]


def test_a_new_classifier_has_its_warm_up_and_fresh_weights_have_none(
    tmp_path: Path, data: Splits, other_task: Path
) -> None:
    assert trained(tmp_path / "transfer", data, TRAIN, other_task)[1] == ["head", "float", "qat", "frozen"]
    assert trained(tmp_path / "fresh", data, TRAIN, None)[1] == ["float", "qat", "frozen"]


def test_where_post_training_quantization_loses_little_there_are_no_quantized_epochs(
    tmp_path: Path, data: Splits, other_task: Path
) -> None:
    result, phases = trained(tmp_path, data, replace(TRAIN, max_ptq_loss=1.0, calibration_batches=10), other_task)
    assert phases == ["head", "float"]
    said = (tmp_path / "frostnas.log").read_text()
    assert "train: post-training quantization loses" in said and "it stands" in said
    assert abs(result.fake_quant.val - result.fp32.val) < 0.1


def knowing_all(data: Splits, trainer: Trainer) -> Splits:
    """Validation images as the network names them in floating point, and training images that show their ranges to
    nobody: all grey."""
    assert isinstance(data.train, MemoryImages) and isinstance(data.val, MemoryImages)
    set_state(trainer.model, QuantState.FLOAT)
    named = predict(trainer.model, data.val).argmax(1)
    grey = replace(data.train, pixels=torch.full_like(data.train.pixels, 128))
    return replace(data, train=grey, val=replace(data.val, labels=named))


def test_a_loss_that_chance_explains_is_none() -> None:
    before = torch.ones(189, dtype=torch.bool)
    after = before.clone()
    after[:2] = False
    loss, error = loss_of(before, after)
    assert loss == pytest.approx(2 / 189) and error == pytest.approx(2**0.5 / 189)
    assert loss > 0.003 + error  # both changes go one way
    before[2] = False  # one goes the other
    loss, error = loss_of(before, after)
    assert loss == pytest.approx(1 / 189) and loss <= 0.003 + error
    assert loss_of(after, after) == (0.0, 0.0)


def test_where_it_loses_more_they_follow_and_the_weights_are_as_they_were(tmp_path: Path, data: Splits) -> None:
    trainer = trainer_of(replace(TRAIN, max_ptq_loss=0.003, calibration_batches=2))
    trainer.best.offer(1.0, 10, 1, False, trainer.model)
    trainer.progress.epoch = 2
    data = knowing_all(data, trainer)
    before = {name: one.clone() for name, one in trainer.model.state_dict().items()}
    with Workspace.open(tmp_path, quiet=True) as workspace:
        assert not Calibrated(data, workspace).stands(trainer)
        trainer.progress.step = 1
        assert not Calibrated(data, workspace).stands(trainer)
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    said = (tmp_path / "frostnas.log").read_text()
    assert said.count("2 fake-quantized epochs follow") == 1  # once the epoch has begun it is not tried again


def test_every_batch_takes_one_of_the_sizes() -> None:
    trainer = trainer_of(replace(TRAIN, head_epochs=0, sizes=[8, 12, 16]), steps=20)
    seen: list[int] = []
    trainer.model.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[-1]))
    trainer.begin_epoch()
    for _ in range(20):
        trainer.step(*batch(16))
    assert set(seen) == {8, 12, 16}


def test_larger_pictures_are_resized_for_the_network_and_not_for_its_teacher() -> None:
    train = replace(TRAIN, head_epochs=0, distill=DistillConfig(weight=0.5))
    trainer = trainer_of(train)
    seen: dict[str, int] = {}

    class Says(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            seen["teacher"] = pixels.shape[-1]
            return torch.zeros(len(pixels), 10)

    trainer.teacher = Says()
    trainer.model.register_forward_pre_hook(lambda module, given: seen.update(student=given[0].shape[-1]))
    trainer.begin_epoch()
    trainer.step(*batch(16))
    assert seen == {"teacher": 16, "student": 8}


def test_statistics_and_ranges_are_those_of_the_images_alone(data: Splits) -> None:
    seed_all(0)
    one, other = Net(NET), Net(NET)
    other.load_state_dict(one.state_dict())
    for module in other.modules():  # whatever was there before
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
        if isinstance(module, ActivationQuantizer):
            module.high.fill_(1e6)
            module.started.fill_(True)
    for net in (one, other):
        restate(net, data.train, 32, 4)
        calibrate(net, data.train, 32, 4)
        assert {module.momentum for module in net.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}
    for name, tensor in one.state_dict().items():
        if "num_batches" not in name:
            torch.testing.assert_close(other.state_dict()[name], tensor, msg=lambda text, at=name: f"{at}: {text}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.max_ptq_loss=0.003", "train.float_epochs=0"], "expected null without train.float_epochs"),
        (["ladder.sizes=[]"], "expected at least one side"),
        (["ladder.sizes=[64,64]"], r"ladder\.sizes=\[64, 64\]: expected different sides"),
        (["train.sizes=[4]"], r"train\.sizes=\[4\]: expected different sides of 8 to 1024 pixels"),
        (["search_net.distill.weights=a"], r"expected search_net\.distill\.teacher=NAME"),
    ],
)
def test_settings_that_do_not_go_together_are_named(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        compose_config(words)


@torch.no_grad()
def test_what_rounding_adds_to_means_is_taken_off(data: Splits) -> None:
    seed_all(0)
    net = Net(NET, Scheme(weight_bits=7))
    calibrate(net, data.train, 32, 8)
    convs = [module for module in net.modules() if isinstance(module, ConvBN)]

    def off() -> list[float]:
        """How far the means of the layers' results are from those of unrounded weights, on all the images."""
        found: list[float] = []
        hooks = [
            conv.register_forward_pre_hook(lambda conv, given: found.append(float(conv.moved(*given).abs().mean())))
            for conv in convs
        ]
        set_state(net, QuantState.FROZEN)
        net(next(iter(data.train.batches(len(data.train))))[0])
        for hook in hooks:
            hook.remove()
        return found

    corrected = off()
    for conv in convs:
        conv.shift.zero_()
    assert len(corrected) == len(convs)
    assert all(with_it < 0.2 * without for with_it, without in zip(corrected, off(), strict=True))


def test_training_forgets_the_shifts_and_older_weights_have_none(data: Splits, tmp_path: Path) -> None:
    seed_all(0)
    net = Net(NET)
    calibrate(net, data.train, 32, 1)
    shifts = {name for name in net.state_dict() if name.endswith(".shift")}
    older = {name: one for name, one in net.state_dict().items() if name not in shifts}
    save_file({name: one.contiguous() for name, one in older.items()}, tmp_path / "older.safetensors")
    fresh, read = Net(NET), Net(NET)
    fresh.load_state_dict(older)
    assert load_weights(read, tmp_path / "older.safetensors")
    set_state(net.train(), QuantState.FAKE)
    net(batch()[0])
    assert len(shifts) == len([module for module in net.modules() if isinstance(module, ConvBN)]) > 0
    assert not any(one.state_dict()[name].any() for one in (net, fresh, read) for name in shifts)
