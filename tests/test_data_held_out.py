"""The test split as pictures is the test split that training holds out: same images, same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from frostnas.artifacts import ImageFormat
from frostnas.config import DataConfig, DataName
from frostnas.data import load
from frostnas.data.held_out import held_out
from frostnas.errors import InputError
from frostnas.picture import normalised
from tests.test_data_folder import write_images

FORMAT = ImageFormat(("a", "b"), 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def assert_same(config: DataConfig) -> None:
    splits = load(config, torch.device("cpu"))
    found = held_out(config, splits.format)
    assert found.classes == splits.format.classes
    expected = [torch.cat(parts).numpy() for parts in zip(*splits.test.batches(8), strict=True)]
    given = [np.concatenate(parts) for parts in zip(*found.batches(5, config), strict=True)]
    assert np.array_equal(normalised(given[0], splits.format.mean, splits.format.std), expected[0])
    assert np.array_equal(given[1], expected[1])


@pytest.mark.parametrize(("name", "size"), [("digits", 16), ("digits", 20), ("hard_digits", 24)])
def test_of_the_bundled_digits(name: str, size: int) -> None:
    assert_same(DataConfig(name=DataName(name), image_size=size, split_seed=1))


@pytest.mark.parametrize("folders", [("",), ("train", "val"), ("train", "val", "test")])
def test_of_image_folders_in_every_layout(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for number, folder in enumerate(folders):
        write_images(tmp_path / folder / "a", 12 + number, seed=2 * number)
        write_images(tmp_path / folder / "b", 12 + number, seed=2 * number + 1, size=(9, 23))
        (tmp_path / folder / "b" / "broken.png").write_bytes(b"not an image")
    assert_same(DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8))


def test_a_held_out_folder_needs_no_training_images(tmp_path: Path) -> None:
    write_images(tmp_path / "val" / "a", 3)
    write_images(tmp_path / "val" / "b", 4)
    config = DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8)
    assert len(held_out(config, FORMAT).indices) == 7
    with pytest.raises(InputError, match="has val alone; expected train"):
        load(config, torch.device("cpu"))


def test_training_images_alone_hold_nothing_out(tmp_path: Path) -> None:
    write_images(tmp_path / "train" / "a", 3)
    with pytest.raises(InputError, match="has train alone; expected val or test"):
        held_out(DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8), FORMAT)


@pytest.mark.parametrize("name", ["digits", "hard_digits"])
def test_a_folder_that_is_named_for_data_without_one_is_refused(name: str) -> None:
    config = DataConfig(name=DataName(name), root="photos")
    for read in (lambda: load(config, torch.device("cpu")), lambda: held_out(config, FORMAT)):
        with pytest.raises(InputError, match=f"data.root=photos: data={name} .* expected data=imagefolder"):
            read()
