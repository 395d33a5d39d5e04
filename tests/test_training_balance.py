"""Unequal classes: weights in the loss, the balanced sampler, and a result that is no better than a constant answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from frostnas import training
from frostnas.artifacts import Accuracy, ImageFormat, SplitRecord
from frostnas.config import AugmentConfig, ClassWeights, OptimConfig, OptimizerName, Sampler, TrainConfig
from frostnas.config.compose import compose_config
from frostnas.data import Splits, batch_indices
from frostnas.data.memory import MemoryImages
from frostnas.engine import Workspace
from frostnas.errors import InputError
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.training.balance import class_weights, guessing_doubt
from frostnas.training.trainer import Trainer
from tests.test_data_folder import read, write_images
from tests.test_training_stage import NET, TRAIN, recipe_of

MIDDLE = (0.5, 0.5, 0.5)
RECORD = SplitRecord("toy", 0, 40, 40, 40, None, None, ())
SGD = OptimConfig(name=OptimizerName.sgd, lr=1.0)
FEW = torch.tensor([0] * 30 + [1] * 6 + [2] * 4)


def images(labels: torch.Tensor) -> MemoryImages:
    pixels = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    return MemoryImages(pixels, labels, ImageFormat(("a", "b", "c"), 8, (0, 0, 0), (1, 1, 1)), AugmentConfig())


def test_a_balanced_pass_draws_every_class_equally_and_its_images_evenly() -> None:
    drawn = torch.cat(batch_indices(40, 8, seed=3, classes=FEW))
    assert sorted(Counter(FEW[drawn].tolist()).values()) == [13, 13, 14]
    assert max(Counter(drawn[FEW[drawn] == 0].tolist()).values()) == 1
    assert set(Counter(drawn[FEW[drawn] == 2].tolist()).values()) <= {3, 4}


def test_a_balanced_pass_is_that_of_its_seed_and_can_be_taken_up_anywhere() -> None:
    whole, again = (list(images(FEW).batches(8, seed=5, balanced=True)) for _ in range(2))
    later = list(images(FEW).batches(8, seed=5, balanced=True, skip=3))
    assert len(whole) == 5
    for expected, given in zip((*whole, *whole[3:]), (*again, *later), strict=True):
        assert torch.equal(expected[0], given[0]) and torch.equal(expected[1], given[1])
    other = next(images(FEW).batches(8, seed=6, balanced=True))
    assert not torch.equal(whole[0][0], other[0])


def test_streamed_images_are_balanced_like_those_in_memory(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 20, seed=1)
    write_images(tmp_path / "b", 4, seed=2)
    resident, streamed = (read(tmp_path, in_memory_mb=size, workers=0).train for size in (1024, 0))
    passes = (one.batches(4, seed=3, balanced=True) for one in (resident, streamed))
    for expected, given in zip(*passes, strict=True):
        assert torch.equal(expected[0], given[0]) and torch.equal(expected[1], given[1])


def test_balanced_weights_give_every_class_the_same_share_of_the_loss() -> None:
    weights = class_weights(TrainConfig(class_weights=ClassWeights.balanced), FEW, 3)
    assert weights is not None
    assert (weights * torch.bincount(FEW)).tolist() == pytest.approx([40 / 3] * 3)
    assert weights[FEW].mean().item() == pytest.approx(1)
    assert class_weights(TrainConfig(), FEW, 3) is None


def test_a_sampler_and_weights_are_not_both_balanced() -> None:
    with pytest.raises(InputError, match=r"train\.class_weights=balanced: expected train\.sampler=shuffled"):
        compose_config(["train.class_weights=balanced", "train.sampler=balanced"])


@pytest.mark.parametrize(
    ("top1", "says"), [(0.75, "no better than always answering a, the largest class (75.00%)"), (0.775, None)]
)
def test_a_result_no_better_than_a_constant_answer_says_so(top1: float, says: str | None) -> None:
    data = Splits(images(FEW).format, RECORD, images(FEW), images(FEW), images(FEW))
    doubt = guessing_doubt(Accuracy(1.0, top1), data)
    assert says in doubt if says is not None and doubt is not None else doubt is says


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"class_weights": ClassWeights.balanced}, {"sampler": Sampler.balanced}])
def test_a_small_class_is_learnt_better_when_classes_are_balanced(tmp_path: Path, options: dict[str, Any]) -> None:
    """Two classes of noise whose means lie close together, fifteen to one."""

    def noise(many: int, few: int, seed: int) -> MemoryImages:
        labels = torch.tensor([0] * many + [1] * few)
        grey = 120 + 12 * labels + 20 * torch.randn(len(labels), generator=torch.Generator().manual_seed(seed))
        pixels = grey.clamp(0, 255).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
        return MemoryImages(pixels, labels, ImageFormat(("many", "few"), 8, MIDDLE, MIDDLE), AugmentConfig())

    data = Splits(noise(1, 1, 0).format, RECORD, noise(600, 40, 0), noise(60, 60, 1), noise(200, 200, 2))
    reached = []
    for number, chosen in enumerate(({}, options)):
        train = replace(TRAIN, float_epochs=4, epochs=2, frozen_epochs=1, **chosen)
        with Workspace.open(tmp_path / str(number), quiet=True) as workspace:
            net = NET.with_classes(2)
            result, _ = training.run(recipe_of(train), train, data, net, workspace, "")
        reached.append(result)
    plain, balanced = reached
    assert balanced.fp32.test > plain.fp32.test + 0.03
    assert bool(plain.warnings) == (plain.fake_quant.test <= 0.5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_gradients_of_parts_add_up_to_that_of_the_whole(smoothing: float) -> None:
    pixels, labels = next(images(FEW).batches(40))
    gradients = []
    for pieces in (1, 4):
        torch.manual_seed(0)
        net = Net(replace(NET.with_classes(3), head=replace(NET.head, classes=3, dropout=0.0)), Scheme())
        train = replace(TRAIN, micro_batches=pieces, label_smoothing=smoothing, optim=SGD)
        weights = class_weights(replace(train, class_weights=ClassWeights.balanced), FEW, 3)
        trainer = Trainer(net, recipe_of(train), train, 10, 3, class_weights=weights)
        trainer.begin_epoch()
        set_state(net, QuantState.FLOAT)
        net.eval()  # without statistics of the piece at hand
        before = [parameter.detach().clone() for parameter in net.parameters()]
        trainer.step(pixels, labels)
        gradients.append([old - new.detach() for old, new in zip(before, net.parameters(), strict=True)])
    for one, whole in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(one, whole, rtol=1e-3, atol=1e-5)
