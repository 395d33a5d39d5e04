"""Image folders: layouts, odd pictures, broken files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from frostnas.artifacts import Reading
from frostnas.config import AugmentConfig, DataConfig, DataName
from frostnas.data import Splits, load
from frostnas.errors import InputError
from frostnas.picture import fit, read_picture

CPU = torch.device("cpu")


def write_images(folder: Path, count: int, seed: int = 0, size: tuple[int, int] = (20, 14)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


def read(root: Path, image_size: int = 8, **changes: object) -> Splits:
    config = DataConfig(name=DataName.imagefolder, root=str(root), image_size=image_size, **changes)  # type: ignore[arg-type]
    return load(config, CPU)


def test_one_folder_is_split_with_every_class_in_every_part(tmp_path: Path) -> None:
    write_images(tmp_path / "cat", 20)
    write_images(tmp_path / "dog", 40)
    splits = read(tmp_path, test_fraction=0.2, val_fraction=0.25)
    assert splits.format.classes == ("cat", "dog")
    assert (splits.record.train, splits.record.val, splits.record.test) == (36, 12, 12)
    assert torch.bincount(splits.test.labels).tolist() == [4, 8]
    assert splits.record.test_indices is not None
    assert len(splits.record.test_indices) == 12


def test_a_single_held_out_folder_is_the_test_split(tmp_path: Path) -> None:
    for name, count in (("train", 10), ("val", 4)):
        write_images(tmp_path / name / "a", count)
        write_images(tmp_path / name / "b", count)
    splits = read(tmp_path, val_fraction=0.2)
    assert (splits.record.train, splits.record.val, splits.record.test) == (16, 4, 8)
    assert splits.record.test_indices is None


def test_train_val_and_test_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    for name, count in (("train", 10), ("val", 3), ("test", 4)):
        write_images(tmp_path / name / "a", count)
        write_images(tmp_path / name / "b", count)
    record = read(tmp_path).record
    assert (record.train, record.val, record.test) == (20, 6, 8)


def test_broken_files_are_named_counted_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(tmp_path / "a", 10)
    write_images(tmp_path / "b", 10)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    whole = (tmp_path / "b" / "0.png").read_bytes()
    (tmp_path / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING, logger="frostnas"):
        splits = read(tmp_path)
    assert splits.record.skipped == 2
    assert splits.record.train + splits.record.val + splits.record.test == 20
    assert "notes.txt" in caplog.text
    assert "cut.png" in caplog.text


def test_strict_fails_on_the_first_broken_file(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 10)
    write_images(tmp_path / "b", 10)
    (tmp_path / "b" / "notes.txt").write_text("not an image")
    with pytest.raises(InputError, match=r"notes\.txt"):
        read(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda root: None, "data.root=.*2"),
        (lambda root: (root / "empty").mkdir(), "empty"),
        (lambda root: (root / "train").mkdir(), "class .*train holds no readable image"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, build: object, message: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    if message != "data.root=.*2":
        write_images(root / "a", 4)
    assert callable(build)
    build(root)
    with pytest.raises(InputError, match=message):
        read(root)


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.root=.*nowhere"):
        read(tmp_path / "nowhere")


def test_classes_must_agree_between_splits(tmp_path: Path) -> None:
    write_images(tmp_path / "train" / "a", 4)
    write_images(tmp_path / "train" / "b", 4)
    write_images(tmp_path / "val" / "a", 4)
    write_images(tmp_path / "val" / "c", 4)
    with pytest.raises(InputError, match="class c is not among the 2 that are learnt, of which b is not here"):
        read(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_rgb_bytes(tmp_path: Path, mode: str) -> None:
    grey = np.linspace(0, 255, 48).reshape(6, 8)
    if mode == "I;16":
        image = Image.fromarray((grey * 257).astype(np.uint16))
    elif mode in ("I", "F"):
        image = Image.fromarray(grey.astype(np.int32 if mode == "I" else np.float32))
    else:
        image = Image.fromarray(grey.astype(np.uint8)).convert(mode)
    path = tmp_path / ("image.tiff" if mode in ("CMYK", "I;16", "I", "F") else "image.png")
    image.save(path)
    pixels = read_picture(path, Reading(levels=(0, 65535 if mode == "I;16" else 255)))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (6, 8, 3)
    assert pixels.min() < 40
    assert pixels.max() > 215


def test_a_picture_is_fitted_to_its_central_square() -> None:
    tall = np.zeros((60, 20, 3), np.uint8)
    tall[20:40] = 200
    assert (fit(tall, 10) > 150).mean() > 0.8
    assert fit(tall, 10).shape == fit(tall[:15, :], 10).shape == (10, 10, 3)
    assert fit(tall[:20], 20) is not None and (fit(tall[:20], 20) == tall[:20]).all()


def test_an_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg", Reading()).shape == (8, 4, 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_images_are_those_in_memory(tmp_path: Path, workers: int) -> None:
    write_images(tmp_path / "a", 8, seed=1)
    write_images(tmp_path / "b", 8, seed=2)
    resident, streamed = (read(tmp_path, in_memory_mb=size, workers=workers) for size in (1024, 0))
    for expected, given in zip(resident.train.batches(4, seed=3), streamed.train.batches(4, seed=3), strict=True):
        assert torch.equal(expected[0], given[0])
        assert torch.equal(expected[1], given[1])


def test_streamed_augmentation_depends_on_the_seed_alone(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 8, seed=1)
    write_images(tmp_path / "b", 8, seed=2)
    augment = AugmentConfig(shift=0.1, rotate=10, crop=0.5, flip=True, randaugment=9, erase=0.5)
    alone, pooled = (read(tmp_path, in_memory_mb=0, workers=workers, augment=augment).train for workers in (0, 2))
    before = torch.get_rng_state()
    whole = list(alone.batches(3, seed=5, augment=True))
    later = list(pooled.batches(3, seed=5, augment=True, skip=2))
    assert torch.equal(before, torch.get_rng_state())
    assert len(later) == len(whole) - 2
    for expected, given in zip(whole[2:], later, strict=True):
        assert torch.equal(expected[0], given[0])
        assert torch.equal(expected[1], given[1])
    other = next(alone.batches(3, seed=6, augment=True))
    assert not torch.equal(other[0], whole[0][0])


def write_copies(folder: Path, grey: np.ndarray, each: int = 200) -> None:
    """The same picture, uint8 (H, W, 1), many times in two classes."""
    for name in "ab":
        (folder / name).mkdir()
        for number in range(each):
            Image.fromarray(np.repeat(grey, 3, axis=2)).save(folder / name / f"{number}.png")


@pytest.mark.parametrize(
    "augment",
    [AugmentConfig(shift=0.1, rotate=20, scale=0.1), AugmentConfig(crop=0.4), AugmentConfig(erase=1.0)],
    ids=["moved", "cropped", "erased"],
)
def test_streamed_augmentation_is_distributed_as_that_in_memory(tmp_path: Path, augment: AugmentConfig) -> None:
    down = np.repeat(np.linspace(40, 250, 32, dtype=np.uint8)[:, None, None], 32, axis=1)
    write_copies(tmp_path, down)
    drawn = []
    for size in (1024, 0):
        images = read(tmp_path, in_memory_mb=size, workers=0, image_size=32, augment=augment).train
        pixels = torch.cat([pixels for pixels, _ in images.batches(80, seed=0, augment=True)])
        drawn.append(pixels[:, 1, 6:26, 6:26].mean(2))  # a row's brightness says which row of the picture it was
    (resident, spread), (streamed, other) = [(one.mean(0), one.std(0)) for one in drawn]
    assert len(drawn[0]) == len(drawn[1]) > 200
    assert ((resident - streamed).abs() < 5 * spread / len(drawn[0]) ** 0.5).all()
    assert ((spread / other - 1).abs() < 0.25).all()


def test_crops_are_of_the_whole_of_a_wide_picture(tmp_path: Path) -> None:
    across = np.repeat(np.linspace(40, 250, 96, dtype=np.uint8)[None, :, None], 32, axis=0)
    write_copies(tmp_path, across)
    drawn = []
    for size in (1024, 0):
        images = read(tmp_path, in_memory_mb=size, workers=0, image_size=32, augment=AugmentConfig(crop=0.1)).train
        pixels = torch.cat([pixels for pixels, _ in images.batches(80, seed=0, augment=True)])
        drawn.append(pixels[:, 1].mean((1, 2)))  # says where in the picture it was
        plain, square = (
            next(read(tmp_path, in_memory_mb=size, workers=0, augment=AugmentConfig(crop=crop)).train.batches(80))[0]
            for crop in (0.1, 1.0)
        )
        assert (plain - square).abs().mean() < 0.02  # not augmented it is the central square
    resident, streamed = drawn
    third = (plain.max() - plain.min()) / 2  # the square is a third of the picture
    for one in drawn:
        assert one.max() - one.min() > 3 * third
    assert abs(resident.mean() - streamed.mean()) < 5 * resident.std() / len(resident) ** 0.5
    assert abs(resident.std() / streamed.std() - 1) < 0.25


def test_parts_of_a_streamed_batch_make_up_the_whole(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 8, seed=1)
    write_images(tmp_path / "b", 8, seed=2)
    augment = AugmentConfig(crop=0.5, flip=True, erase=0.5)
    train = read(tmp_path, in_memory_mb=0, workers=0, augment=augment).train
    whole, labels = next(train.batches(4, seed=1, augment=True))
    parts = [next(train.batches(4, seed=1, augment=True, part=(rank, 2))) for rank in range(2)]
    assert torch.equal(torch.stack([pixels for pixels, _ in parts], dim=1).flatten(0, 1), whole)
    assert torch.equal(torch.stack([one for _, one in parts], dim=1).flatten(), labels)
