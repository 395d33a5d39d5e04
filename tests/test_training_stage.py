"""Stage 3: phases, what is kept, and resuming to the same bytes."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from frostnas import training
from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec, TrainResult
from frostnas.config import (
    AugmentConfig,
    Config,
    DataConfig,
    DistillConfig,
    GradBoostConfig,
    GradBoostMode,
    OptimConfig,
    OptimizerName,
    QuantConfig,
    TrainConfig,
)
from frostnas.data import Splits, load
from frostnas.data.memory import MemoryImages
from frostnas.engine import Recipe, TrainingError, Workspace
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.resize import resized
from frostnas.training.best import Best
from frostnas.training.mixing import grown_size
from frostnas.training.stage import shared_top1
from frostnas.training.trainer import Trainer
from tests.watched import Killed, Watched

NET = NetSpec(
    "tiny",
    8,
    StemSpec(8, 1),
    (LayerSpec(BlockSpec(expand=3), 8, 1), LayerSpec(BlockSpec(reuse="none", expand=3), 16, 2)),
    HeadSpec(32, classes=10, dropout=0.1),
)
TRAIN = TrainConfig(batch_size=32, float_epochs=1, epochs=2, frozen_epochs=1, optim=OptimConfig(lr=0.05))


@pytest.fixture(scope="module")
def data() -> Splits:
    config = DataConfig(image_size=8, augment=AugmentConfig(shift=0.1, rotate=5))
    splits = load(config, torch.device("cpu"))
    some = torch.arange(0, 640, 2)
    return replace(splits, train=splits.train.subset(some))


def config_of(train: TrainConfig = TRAIN, **changes: object) -> Config:
    return Config(train=train, data=DataConfig(image_size=8), **changes)  # type: ignore[arg-type]


def recipe_of(train: TrainConfig = TRAIN) -> Recipe:
    return Recipe.of(config_of(train), "train")


def trained(
    folder: Path, data: Splits, config: Config, *, start: Path | None = None, teacher: Net | None = None
) -> tuple[TrainResult, dict[str, Tensor]]:
    """Trained, with a checkpoint after every step."""
    recipe, options = Recipe.of(config, "train"), config.train
    with Workspace.open(folder, quiet=True, checkpoint_s=0.0) as workspace:
        return training.run(recipe, options, data, NET, workspace, str(config), start=start, teacher=teacher)


def test_phases_follow_each_other_and_the_schedule_restarts_once() -> None:
    recipe = recipe_of(TrainConfig(float_epochs=2, epochs=5, frozen_epochs=2))
    assert [recipe.at(epoch)[0].name for epoch in range(7)] == ["float"] * 2 + ["qat"] * 3 + ["frozen"] * 2
    seen = [(recipe.at(epoch)[0].state, recipe.at(epoch)[1]) for epoch in range(7)]
    plain, observe, fake, frozen = QuantState.FLOAT, QuantState.OBSERVE, QuantState.FAKE, QuantState.FROZEN
    assert seen == [(plain, 0), (observe, 1), (fake, 0), (fake, 1), (fake, 2), (frozen, 3), (frozen, 4)]
    searched = replace(recipe, key="search_net")  # a step reaches some of its candidates only
    assert [searched.at(epoch)[0].state for epoch in range(3)] == [observe, observe, fake]


def test_training_learns_and_says_what_it_kept(tmp_path: Path, data: Splits) -> None:
    train = replace(TRAIN, float_epochs=4, epochs=8, label_smoothing=0.05)
    result, weights = trained(tmp_path, data, config_of(train))
    assert result.fake_quant.test > 0.6
    assert abs(result.fake_quant.test - result.fp32.test) < 0.1
    assert result.parameters == sum(weight.numel() for name, weight in weights.items() if is_parameter(name))
    assert result.best_epoch >= 4
    with (tmp_path / "metrics" / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["float"] * 4 + ["qat"] * 7 + ["frozen"]
    assert float(rows[result.best_epoch]["val_top1"]) == result.fake_quant.val


def is_parameter(name: str) -> bool:
    return name.endswith((".weight", ".bias"))


def test_without_quantized_epochs_the_ranges_are_calibrated(tmp_path: Path, data: Splits) -> None:
    train = replace(TRAIN, float_epochs=8, epochs=0, frozen_epochs=0, calibration_batches=12)
    result, weights = trained(tmp_path, data, config_of(train))
    assert result.fp32.test > 0.4
    assert abs(result.fake_quant.test - result.fp32.test) < 0.05
    assert all(bool(value) for name, value in weights.items() if name.endswith("started"))


def test_a_training_that_learns_nothing_says_so(tmp_path: Path, data: Splits) -> None:
    trained(tmp_path, data, config_of(replace(TRAIN, optim=OptimConfig(lr=1e-9))))
    assert "train: warning: the network has learnt next to nothing" in (tmp_path / "frostnas.log").read_text()


@pytest.mark.parametrize(
    ("history", "classes", "says"),
    [
        ([0.5, 0.9, 0.85], 10, None),
        ([0.5, 0.9, 0.85], 2, None),
        ([0.5, 0.9, 0.3], 10, "was 90.00% after epoch 2, 30.00% in the end"),
        ([0.5, 0.9, 0.6], 2, "was 90.00% after epoch 2, 60.00% in the end"),
        ([0.1, 0.13, 0.11], 10, "next to nothing: validation top-1 13.00%, chance is 10.00%"),
    ],
)
def test_a_training_that_fell_back_says_so(history: list[float], classes: int, says: str | None) -> None:
    best = Best()
    for epoch, top1 in enumerate(history):
        best.offer(top1, 1000, epoch, True, Net(NET))
    doubt = best.doubt(classes)
    assert doubt is None if says is None else says in str(doubt)


def test_the_last_epoch_that_images_cannot_tell_from_the_best_is_kept() -> None:
    history = [0.70, 0.80, 0.78, 0.74]
    for images, epoch in ((100, 2), (10_000, 1)):  # a standard error is 4 points, and 0.4
        best = Best()
        for number, top1 in enumerate(history):
            best.offer(top1, images, number, False, Net(NET))
        assert best.epoch == epoch
        best.offer(0.2, images, len(history), True, Net(NET))
        assert best.quantized and best.epoch == len(history)


def test_validation_moves_no_range_while_training_observes(data: Splits) -> None:
    trainer = Trainer(Net(NET), recipe_of(), TRAIN, steps_per_epoch=10, classes=10)
    trainer.begin_epoch()
    assert trainer.state is QuantState.OBSERVE
    trainer.step(*next(data.train.batches(32)))
    seen = {name: buffer.clone() for name, buffer in trainer.model.named_buffers()}
    shared_top1(trainer, data.val)
    assert all(torch.equal(buffer, seen[name]) for name, buffer in trainer.model.named_buffers())


def test_an_activation_that_is_not_finite_stops_with_where_and_what_to_do(tmp_path: Path, data: Splits) -> None:
    train = replace(TRAIN, optim=OptimConfig(lr=1e30))
    said = r"train: layer \S+: .* in epoch 1 \(float\), step 2, learning rate 9.76e\+29; lower train\.optim\.lr or set"
    with pytest.raises(TrainingError, match=said):
        trained(tmp_path, data, config_of(train))


def test_a_loss_that_is_not_a_number_names_step_and_layer_and_moves_no_weight(data: Splits) -> None:
    net = Net(NET)
    trainer = Trainer(net, recipe_of(), TRAIN, steps_per_epoch=10, classes=10)  # quantizers off: they would see it
    net.layers[1].expand.conv.weight.data[0] = torch.nan
    before = net.stem.conv.weight.detach().clone()
    said = r"the loss is nan, first in layer layers\.1\.expand\S* in epoch 1 \(float\), step 1.*train\.optim\.clip_norm"
    with pytest.raises(TrainingError, match=said):
        trainer.step(*next(data.train.batches(32)))
    assert torch.equal(net.stem.conv.weight, before)


def test_after_a_loss_that_is_not_a_number_the_last_good_checkpoint_is_left(tmp_path: Path, data: Splits) -> None:
    broken = Watched(data.train)
    broken.corrupt = {13}
    with pytest.raises(TrainingError, match=r"in epoch 2 \(qat\), step 4"):
        trained(tmp_path / "broken", replace(data, train=broken), config_of())
    _, weights = trained(tmp_path / "broken", data, config_of())
    _, whole = trained(tmp_path / "whole", data, config_of())
    assert to_safetensors(weights) == to_safetensors(whole)
    assert "going on from epoch 2, step 4" in (tmp_path / "broken" / "frostnas.log").read_text()


def recovering(folder: Path, data: Splits, corrupt: set[int]) -> None:
    train = Watched(data.train)
    train.corrupt = corrupt
    trained(folder, replace(data, train=train), config_of(replace(TRAIN, recover=True)))


def test_asked_to_recover_it_goes_back_to_the_last_checkpoint_with_a_lower_rate(tmp_path: Path, data: Splits) -> None:
    recovering(tmp_path, data, {13})
    log = (tmp_path / "frostnas.log").read_text()
    assert "going back once, with 0.1 of the learning rate" in log and "going on from epoch 2, step 4" in log
    with (tmp_path / "metrics" / "train.csv").open(newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert len(rates) == 3 and all(rate < 0.1 * TRAIN.optim.lr for rate in rates[1:])


def test_it_does_not_recover_twice(tmp_path: Path, data: Splits) -> None:
    with pytest.raises(TrainingError, match=r"in epoch 2 \(qat\), step 10"):
        recovering(tmp_path, data, {13, 20})


VARIANTS = {
    "plain": TRAIN,
    "average": replace(TRAIN, ema_decay=0.9, label_smoothing=0.1),
    "adamw": replace(TRAIN, optim=OptimConfig(name=OptimizerName.adamw, lr=0.003, warmup_epochs=0.5)),
    "rmsprop": replace(TRAIN, optim=OptimConfig(name=OptimizerName.rmsprop_tf, lr=0.003, clip_norm=1.0)),
}


@pytest.mark.parametrize(
    ("variant", "stops"), [("plain", (3, 17)), ("average", (10, 29)), ("adamw", (14,)), ("rmsprop", (22,))]
)
def test_a_killed_run_ends_with_the_same_bytes(
    tmp_path: Path, data: Splits, variant: str, stops: tuple[int, ...]
) -> None:
    boost = GradBoostConfig(mode=GradBoostMode.released if variant == "adamw" else GradBoostMode.corrected)
    config = config_of(VARIANTS[variant], quant=QuantConfig(gradboost=boost))
    whole, weights = trained(tmp_path / "whole", data, config)
    for former, stop in pairwise((0, *stops)):
        mortal = replace(data, train=Watched(data.train, stop - former))
        with pytest.raises(Killed):
            trained(tmp_path / "killed", mortal, config)
    resumed, weights_again = trained(tmp_path / "killed", data, config)
    assert to_safetensors(weights) == to_safetensors(weights_again)
    assert replace(resumed, seconds=0) == replace(whole, seconds=0)
    for name in ("train.csv", "ranges.csv"):
        first, second = ((tmp_path / run / "metrics" / name).read_bytes() for run in ("whole", "killed"))
        assert first == second and first


def test_a_checkpoint_of_another_config_is_not_used(tmp_path: Path, data: Splits) -> None:
    first, _ = trained(tmp_path, data, config_of())
    other = config_of(replace(TRAIN, optim=OptimConfig(lr=0.02)))
    again, _ = trained(tmp_path, data, other)
    fresh, _ = trained(tmp_path / "fresh", data, other)
    assert again.weights_sha256 == fresh.weights_sha256 != first.weights_sha256


def test_the_seed_decides_the_weights(tmp_path: Path, data: Splits) -> None:
    first, _ = trained(tmp_path / "a", data, config_of(seed=1))
    again, _ = trained(tmp_path / "b", data, config_of(seed=1))
    other, _ = trained(tmp_path / "c", data, config_of(seed=2))
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"mixup": 0.4}, marks=pytest.mark.slow),
        pytest.param({"cutmix": 1.0}, marks=pytest.mark.slow),
        {"mixup": 0.4, "cutmix": 1.0, "label_smoothing": 0.1},
        {"amp": True},
        {"ema_decay": 0.9},
        pytest.param({"optim": OptimConfig(lr=0.05, clip_norm=0.5)}, marks=pytest.mark.slow),
        {"optim": OptimConfig(name=OptimizerName.adamw, lr=0.005)},
    ],
    ids=lambda options: "-".join(options),
)
def test_every_option_learns(options: dict[str, Any], tmp_path: Path, data: Splits) -> None:
    train = replace(TRAIN, float_epochs=4, epochs=8, **options)
    result, _ = trained(tmp_path, data, config_of(train))
    assert result.fake_quant.val > 0.3  # chance is 0.1


def test_images_grow_in_the_first_half_of_a_schedule() -> None:
    assert [grown_size(64, 0.5, done) for done in (0.0, 0.25, 0.5, 1.0)] == [32, 48, 64, 64]
    assert resized(torch.zeros(2, 3, 64, 64), 48).shape == (2, 3, 48, 48)


def test_pieces_of_a_batch_give_the_gradient_of_the_whole(data: Splits) -> None:
    pixels, labels = next(iter(data.train.batches(32)))
    gradients = []
    for pieces in (1, 3, 64):  # more pieces than images leave fewer pieces
        torch.manual_seed(0)
        net = Net(replace(NET, head=replace(NET.head, dropout=0.0)), Scheme())
        train = replace(TRAIN, micro_batches=pieces, optim=OptimConfig(name=OptimizerName.sgd, lr=1.0))
        trainer = Trainer(net, recipe_of(train), train, 10, 10)
        trainer.begin_epoch()
        set_state(net, QuantState.FLOAT)
        net.eval()  # without statistics of the piece at hand
        before = [parameter.detach().clone() for parameter in net.parameters()]
        trainer.step(pixels, labels)
        gradients.append([old - new.detach() for old, new in zip(before, net.parameters(), strict=True)])
    for other in gradients[1:]:
        for one, whole in zip(other, gradients[0], strict=True):
            torch.testing.assert_close(one, whole, rtol=1e-3, atol=1e-5)


def test_training_starts_from_the_weights_that_it_is_given(tmp_path: Path, data: Splits) -> None:
    first, weights = trained(tmp_path / "first", data, config_of(replace(TRAIN, float_epochs=6)))
    path = tmp_path / "first.safetensors"
    path.write_bytes(to_safetensors(weights))
    gentle = replace(TRAIN, float_epochs=0, optim=OptimConfig(lr=1e-6))
    second, _ = trained(tmp_path / "second", data, config_of(gentle), start=str(path))
    assert second.fake_quant.val >= first.fake_quant.val - 0.05


def test_a_student_learns_from_its_teacher_what_the_labels_deny(tmp_path: Path, data: Splits) -> None:
    float_alone = replace(TRAIN, float_epochs=24, epochs=0, frozen_epochs=0, calibration_batches=1)
    _, weights = trained(tmp_path / "teacher", data, config_of(float_alone))
    teacher = Net(NET, Scheme())
    teacher.load_state_dict(weights)
    set_state(teacher.eval(), QuantState.FLOAT)
    assert isinstance(data.train, MemoryImages)
    wrong = replace(data, train=replace(data.train, labels=(data.train.labels + 1) % 10))
    top1 = []
    for weight in (0.0, 1.0):
        config = config_of(replace(TRAIN, float_epochs=16, epochs=4, distill=DistillConfig(weight=weight)))
        result, _ = trained(tmp_path / str(weight), wrong, config, teacher=teacher)
        top1.append(result.fake_quant.val)
    assert top1[0] < 0.2 < 0.4 < top1[1]  # chance is 0.1
