"""Splits and batches of the bundled data sets."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from frostnas.artifacts import ImageFormat
from frostnas.config import AugmentConfig, DataConfig, DataName
from frostnas.data import Splits, batch_count, batch_indices, load
from frostnas.data.augment import augment_batch, crop_boxes, erase_batch
from frostnas.data.builder import Builder
from frostnas.data.pictures import ArrayPictures
from frostnas.data.split import stratified
from frostnas.errors import InputError
from frostnas.resize import resized

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> Splits:
    return load(DataConfig(augment=AugmentConfig(shift=0.1, rotate=10, scale=0.1, flip=True)), CPU)


def test_the_digits_are_split_as_recorded(digits: Splits) -> None:
    record = digits.record
    assert record.train + record.val + record.test == 1797
    assert record.test == 360
    assert record.test_indices is not None
    assert len(set(record.test_indices)) == 360
    counts = torch.bincount(digits.test.labels)
    assert counts.min() >= 34  # stratified: every class about a tenth


def test_another_split_seed_holds_out_other_images(digits: Splits) -> None:
    assert load(DataConfig(split_seed=1), CPU).record.test_indices != digits.record.test_indices
    assert load(DataConfig(), CPU).record == digits.record


def test_batches_are_normalised_and_channels_last(digits: Splits) -> None:
    pixels, labels = next(digits.train.batches(32, seed=0))
    assert pixels.shape == (32, 3, 16, 16)
    assert pixels.dtype == torch.float32
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64
    every = torch.cat([pixels for pixels, _ in digits.train.batches(256)])
    assert every.mean().abs() < 0.05
    assert abs(every.std().item() - 1) < 0.05


@given(images=st.integers(1, 50), batch_size=st.integers(2, 20), seed=st.none() | st.integers(0, 99))
def test_a_pass_takes_every_image_at_most_once(images: int, batch_size: int, seed: int | None) -> None:
    plan = batch_indices(images, batch_size, seed)
    assert len(plan) == batch_count(images, batch_size, shuffled=seed is not None)
    taken = torch.cat(plan).tolist()
    assert max(Counter(taken).values()) == 1
    if seed is None:
        assert taken == list(range(images))
    elif images >= batch_size:
        assert all(len(batch) == batch_size for batch in plan)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), skip=st.integers(0, 12), augment=st.booleans())
def test_skipped_batches_leave_the_rest_as_they_are(digits: Splits, seed: int, skip: int, augment: bool) -> None:
    whole = list(digits.train.batches(100, seed=seed, augment=augment))
    rest = list(digits.train.batches(100, seed=seed, augment=augment, skip=skip))
    assert len(rest) == max(0, len(whole) - skip)
    for (pixels, labels), (expected, expected_labels) in zip(rest, whole[skip:], strict=True):
        assert torch.equal(pixels, expected)
        assert torch.equal(labels, expected_labels)


def test_a_subset_holds_the_images_asked_for(digits: Splits) -> None:
    where = torch.tensor([5, 2, 9])
    part = digits.val.subset(where)
    assert torch.equal(part.labels, digits.val.labels[where])
    (pixels, _), (every, _) = next(part.batches(3)), next(digits.val.batches(16))
    assert torch.equal(pixels, every[where])


def levels(images: int) -> torch.Tensor:
    return torch.randint(0, 256, (images, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def uniform(rows: int, images: int) -> Tensor:
    return torch.rand(rows, images, generator=torch.Generator().manual_seed(0))


def test_augmentation_that_is_off_changes_nothing() -> None:
    pixels = levels(4)
    assert torch.equal(augment_batch(pixels, AugmentConfig(), torch.rand(9, 4), 8), pixels / 255)


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    pixels = levels(200)
    flipped = augment_batch(pixels, AugmentConfig(flip=True), uniform(9, 200), 8)
    same = (flipped == pixels / 255).flatten(1).all(1)
    mirrored = (flipped == pixels.flip(3) / 255).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 60 < int(mirrored.sum()) < 140


@pytest.mark.parametrize("rotate", [0.0, 1e-4])
def test_a_crop_keeps_inside_the_image(rotate: float) -> None:
    white = torch.full((64, 3, 16, 16), 255, dtype=torch.uint8)
    out = augment_batch(white, AugmentConfig(crop=0.2, rotate=rotate), uniform(9, 64), 12)
    assert out.shape == (64, 3, 12, 12)
    assert torch.allclose(out, torch.ones_like(out), atol=1e-4)  # nothing black comes into view


def test_erasing_touches_its_share_of_the_images() -> None:
    out = erase_batch(torch.full((400, 3, 16, 16), 2.0), AugmentConfig(erase=0.25), uniform(6, 400))
    touched = (out != 2).flatten(1).any(1)
    assert 70 < int(touched.sum()) < 130
    assert bool((out[touched] == 2).flatten(1).any(1).all())  # never the whole image
    assert out.min() >= 0


@pytest.mark.parametrize("size", [2, 3])
def test_parts_of_a_batch_make_up_the_whole(size: int) -> None:
    augment = AugmentConfig(shift=0.1, flip=True, randaugment=9, randaugment_std=0.5, erase=0.5)
    train = load(DataConfig(augment=augment), CPU).train.subset(torch.arange(60))
    whole, _ = next(train.batches(24, seed=1, augment=True))
    parts = [next(train.batches(24, seed=1, augment=True, part=(rank, size)))[0] for rank in range(size)]
    assert torch.allclose(torch.stack(parts, dim=1).flatten(0, 1), whole, atol=1e-5)


def test_hard_digits_are_the_same_for_the_same_seed() -> None:
    config = DataConfig(name=DataName.hard_digits, image_size=32)
    first, second = load(config, CPU), load(config, CPU)
    assert len(first.train) > 4000
    (pixels, labels), (again, _) = next(first.train.batches(64)), next(second.train.batches(64))
    assert pixels.shape == (64, 3, 32, 32)
    assert torch.equal(pixels, again)
    assert labels.min() >= 0
    other = load(DataConfig(name=DataName.hard_digits, image_size=32, split_seed=1), CPU)
    assert not torch.equal(next(other.train.batches(64))[0], pixels)


@pytest.mark.parametrize("name", [DataName.cifar10, DataName.cifar100, DataName.fashion_mnist])
def test_a_missing_public_data_set_is_said_with_its_folder(name: DataName, tmp_path: object) -> None:
    with pytest.raises(InputError, match=rf"data\.root=.*{name.value}.*data\.download=true"):
        load(DataConfig(name=name, root=str(tmp_path), image_size=32), CPU)


def test_a_class_that_cannot_be_split_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"data\.val_fraction=0\.5: too few images to split in class b \(1\)"):
        stratified(np.array([0, 0, 1]), ("a", "b"), 0.5, 0, "data.val_fraction")


SIXTEEN = ImageFormat(("a", "b"), 16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def test_training_pictures_are_kept_larger_and_given_at_both_sizes() -> None:
    config = DataConfig(name=DataName.imagefolder, image_size=16, train_size=32)
    rng = np.random.default_rng(0)
    pictures = ArrayPictures(rng.integers(0, 256, (12, 40, 40, 3), dtype=np.uint8))
    labels = np.arange(12) % 2
    for limit in (1024, 0):  # in memory, and streamed
        build = Builder(replace(config, in_memory_mb=limit, workers=0), torch.device("cpu"), SIXTEEN)
        train, val = (build.images(pictures, labels, np.arange(4 * n, 8), train=n == 0) for n in (0, 1))
        assert (train.side, val.side) == (32, 16)
        large, small = (next(train.batches(8, seed=0, augment=True, size=size))[0] for size in (32, None))
        assert (large.shape[-1], small.shape[-1]) == (32, 16)
        torch.testing.assert_close(resized(large, 16), small, rtol=0, atol=1e-5)
        assert next(val.batches(4))[0].shape[-1] == 16


@pytest.mark.parametrize("limit", [1024, 0], ids=["in memory", "streamed"])
def test_crops_have_the_detail_of_the_picture(limit: int) -> None:
    fine = np.indices((64, 64))[0] // 2 % 2 * 255  # stripes that nothing made of 16 x 16 pixels can show
    pictures = ArrayPictures(np.repeat(fine[None].astype(np.uint8), 32, axis=0))
    config = DataConfig(
        name=DataName.imagefolder, image_size=16, in_memory_mb=limit, workers=0, augment=AugmentConfig(crop=0.25)
    )
    build = Builder(config, torch.device("cpu"), SIXTEEN)
    train, val = (build.images(pictures, np.arange(32) % 2, train=train) for train in (True, False))
    cropped, whole = next(train.batches(32, seed=0, augment=True))[0], next(val.batches(32))[0]
    assert cropped.shape == whole.shape == (32, 3, 16, 16)
    assert train.side == 16
    assert cropped.std((2, 3)).amax() > 1.5 * whole.std((2, 3)).amax()


@pytest.mark.parametrize("aspect", [1.0, 4 / 3, 0.6])
def test_crops_are_distributed_as_those_of_torchvision(aspect: float) -> None:
    count, high = 4000, 300
    noise = torch.rand(4, count, generator=torch.Generator().manual_seed(0))
    (across, down), _ = crop_boxes(noise, 0.35, torch.full((count,), aspect))
    picture = torch.zeros(1, high, round(high * aspect))
    torch.manual_seed(0)
    sides = torch.tensor(
        [RandomResizedCrop.get_params(picture, [0.35, 1.0], [3 / 4, 4 / 3])[2:] for _ in range(count)]
    ).float()
    ours = torch.stack([across * down, (across * aspect / down).log()])
    theirs = torch.stack([sides.prod(1) / picture.numel(), (sides[:, 1] / sides[:, 0]).log()])
    error = 4 * (2 / count) ** 0.5 * theirs.std(1)
    assert ((ours.mean(1) - theirs.mean(1)).abs() < error).all()
    assert ((ours.std(1) / theirs.std(1) - 1).abs() < 0.06).all()
