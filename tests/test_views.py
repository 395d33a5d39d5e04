"""A teacher that is asked once about each of some views of every picture, and how it is run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from frostnas import create_model
from frostnas.artifacts import ImageFormat, SplitRecord
from frostnas.config import AugmentConfig
from frostnas.config.compose import compose_config
from frostnas.data import Splits
from frostnas.data.memory import MemoryImages
from frostnas.data.views import Views, affordable
from frostnas.deploy.live import Live
from frostnas.engine.distill import Lesson, Remembering, answers
from frostnas.pipeline.views import to_search, to_train

FORMAT = ImageFormat(("even", "odd"), 8, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
COUNT, BATCH = 20, 8


def pictures(augment: AugmentConfig) -> MemoryImages:
    """Of 16 pixels, to be shown at 8."""
    noise = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (COUNT, 3, 16, 16), dtype=torch.uint8, generator=noise)
    return MemoryImages(pixels, torch.arange(COUNT) % 2, FORMAT, augment)


CROPPED = AugmentConfig(crop=0.5)


class Asked(nn.Module):
    """A teacher that says the mean of the pixels, and counts and measures them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.sides = 0, set[int]()

    def forward(self, pixels: Tensor) -> Tensor:
        self.asked += len(pixels)
        self.sides.add(pixels.shape[-1])
        return pixels.mean((2, 3))


def one_pass(images: Views | MemoryImages, seed: int, skip: int = 0) -> tuple[Tensor, Tensor]:
    pixels, labels = zip(*images.batches(BATCH, seed=seed, augment=True, skip=skip, size=8), strict=True)
    return torch.cat(pixels), torch.cat(labels)


def test_a_teacher_is_asked_once_about_every_view_at_its_own_side() -> None:
    teacher, images = Asked(), pictures(CROPPED)
    knowing = Remembering(teacher)
    views = Views(images, 2, 8, 0, knowing.learn)
    for epoch in range(6):
        pixels, _ = one_pass(views, epoch)
        assert pixels.shape == (16, 3, 8, 8)  # whole batches, of twenty pictures
        torch.testing.assert_close(answers(knowing, pixels), pixels.mean((2, 3)), atol=0.3, rtol=0)
    assert teacher.asked == 2 * 16 and teacher.sides == {16}


def test_a_view_comes_again_in_another_order_with_its_labels() -> None:
    views = Views(pictures(CROPPED), 2, 8, 0, lambda small, large: None)
    (first, labels), (other, _), (again, as_labels) = (one_pass(views, seed) for seed in (0, 1, 2))

    def labelled(pixels: Tensor, labels: Tensor) -> list[tuple[float, int]]:
        return sorted(zip(pixels.sum((1, 2, 3)).tolist(), labels.tolist(), strict=True))

    assert not torch.equal(first, again)
    assert labelled(first, labels) == labelled(again, as_labels)
    assert not set(first.sum((1, 2, 3)).tolist()) & set(other.sum((1, 2, 3)).tolist())


def test_an_interrupted_pass_goes_on_with_the_same_views() -> None:
    whole, rest = (Views(pictures(CROPPED), 3, 8, 7, lambda small, large: None) for _ in range(2))
    pixels, labels = one_pass(whole, 5)
    left, left_labels = one_pass(rest, 5, skip=1)
    assert torch.equal(pixels[BATCH:], left) and torch.equal(labels[BATCH:], left_labels)


def test_what_is_not_augmented_is_not_a_view() -> None:
    images = pictures(CROPPED)
    views = Views(images, 2, 8, 0, lambda small, large: pytest.fail("was shown"))
    for seed in (None, 3):
        for (given, _), (plain, _) in zip(views.batches(8, seed=seed), images.batches(8, seed=seed), strict=True):
            assert torch.equal(given, plain)
    assert len(views) == COUNT and views.side == 8 and torch.equal(views.labels, images.labels)


def test_as_many_views_are_stored_as_memory_holds() -> None:
    images = pictures(CROPPED)
    assert affordable(10, images, 8, megabytes=1) == 10
    assert affordable(10, images, 64, megabytes=1) == 2**20 // (COUNT * 3 * 64 * 64 * 2) == 2
    assert affordable(10, images, 8, megabytes=0) == 0


@pytest.mark.parametrize("word", ["train.distill.views=0", "train.mixup=0.2", "train.cutmix=1", "data.in_memory_mb=0"])
def test_a_teacher_is_asked_in_every_step_where_views_cannot_be_stored(word: str) -> None:
    images, teacher = pictures(CROPPED), Asked()
    data = Splits(FORMAT, SplitRecord("toy", 0, COUNT, 1, 1, None, None, ()), images, images, images)
    stored, knowing = to_train(data, teacher, compose_config(["run_dir=x"]), 8)
    assert isinstance(stored.train, Views) and isinstance(knowing, Remembering)
    assert to_train(data, teacher, compose_config(["run_dir=x", word]), 8) == (data, teacher)
    assert to_train(data, None, compose_config(["run_dir=x"]), 8) == (data, None)


def test_training_goes_on_with_other_views_than_the_supernet_had() -> None:
    images, config = pictures(CROPPED), compose_config(["run_dir=x"])
    data = Splits(FORMAT, SplitRecord("toy", 0, COUNT, 1, 1, None, None, ()), images, images, images)
    searched, lesson = to_search(data, Lesson(Asked(), config.search_net.distill), config)
    trained, _ = to_train(data, Asked(), config, 8)
    assert isinstance(searched.train, Views) and isinstance(trained.train, Views)
    assert lesson is not None and isinstance(lesson.teacher, Remembering)
    sums = [set(one_pass(views, 0)[0].sum((1, 2, 3)).tolist()) for views in (searched.train, trained.train)]
    assert not sums[0] & sums[1]
    assert to_search(data, None, config) == (data, None)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mobilenet_v3_small_1_0", "efficientnet_lite0"])
def test_a_network_in_onnxruntime_says_what_it_says_in_torch(name: str) -> None:
    torch.manual_seed(0)
    net = create_model(name, 10, image_size=32).train()
    net(torch.randn(16, 3, 32, 32))  # batch norm of its own
    net.eval()
    images = torch.randn(3, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    live = Live(net)
    torch.testing.assert_close(live(images), net(images), rtol=1e-4, atol=1e-5)
    assert {name.removeprefix("net.") for name in live.state_dict()} == set(net.state_dict())
