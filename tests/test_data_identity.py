"""What a data set is known by again: a change of its images is named, a change of their place is none."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frostnas.artifacts import ClassImages, SplitRecord
from frostnas.config import DataConfig, DataName
from frostnas.data import load
from frostnas.data.held_out import held_out
from frostnas.data.identity import changes, held_out_changes
from tests.test_data_folder import write_images
from tests.test_data_held_out import FORMAT

CPU = torch.device("cpu")


def record_of(root: Path, **given: object) -> SplitRecord:
    config = DataConfig(name=DataName.imagefolder, root=str(root), image_size=8, **given)  # type: ignore[arg-type]
    return load(config, CPU).record


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(("blue", "green", "red")):
        write_images(tmp_path / "photos" / name, 12, seed=number)
    return tmp_path / "photos"


def test_a_copy_elsewhere_with_new_times_is_the_same_data(root: Path, tmp_path: Path) -> None:
    before = record_of(root)
    shutil.copytree(root, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (1, 1))
    assert changes(before, record_of(tmp_path / "copy")) == []


def test_a_renamed_class_is_one_gone_and_one_new(root: Path) -> None:
    before = record_of(root)
    (root / "blue").rename(root / "zblue")
    assert changes(before, record_of(root)) == ["class blue is gone, zblue is new"]


def test_more_and_fewer_files_are_counted_by_class(root: Path) -> None:
    before = record_of(root)
    write_images(root / "green" / "more", 60, seed=9)
    (root / "red" / "3.png").unlink()
    assert changes(before, record_of(root)) == ["60 files more in green", "1 file fewer in red"]


def test_classes_whose_files_were_swapped_have_changed(root: Path) -> None:
    before = record_of(root)
    (root / "blue").rename(root / "meanwhile")
    (root / "red").rename(root / "blue")
    (root / "meanwhile").rename(root / "red")
    assert changes(before, record_of(root)) == ["files in blue changed", "files in red changed"]


def test_one_byte_of_one_file_is_a_change(root: Path) -> None:
    before = record_of(root)
    with (root / "red" / "5.png").open("ab") as file:
        file.write(b"\0")
    assert changes(before, record_of(root)) == ["files in red changed"]


def test_a_file_that_is_no_image_is_no_change(root: Path) -> None:
    before = record_of(root)
    (root / "red" / "notes.txt").write_text("nothing to learn")
    assert changes(before, record_of(root)) == []


def test_another_split_of_the_same_images_is_named(root: Path) -> None:
    before = record_of(root)
    assert changes(before, record_of(root, split_seed=1)) == ["split seed 0, now 1"]
    assert changes(before, record_of(root, test_fraction=0.5)) == ["test fraction 0.2, now 0.5"]
    assert changes(before, record_of(root, val_fraction=0.5)) == [
        "23 images to train, now 14",
        "5 images to choose, now 14",
    ]


def test_changes_in_a_folder_of_a_split_name_the_split(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "val")):
        for name in ("a", "b"):
            write_images(tmp_path / part / name, 8, seed=number)
    before = record_of(tmp_path)
    write_images(tmp_path / "val" / "b", 9, seed=5)
    assert changes(before, record_of(tmp_path)) == ["1 file more in test/b"]
    (tmp_path / "val").rename(tmp_path / "test")
    assert changes(before, record_of(tmp_path)) == ["1 file more in test/b"]


def test_one_set_that_becomes_two_is_said_as_that(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_images(tmp_path / "one" / name, 12)
        for part in ("train", "val"):
            write_images(tmp_path / "two" / part / name, 8)
    found = changes(record_of(tmp_path / "one"), record_of(tmp_path / "two"))
    assert found == ["parts one to be split, now train, test"]


def test_many_changed_classes_are_summed_up() -> None:
    def record(digest: str) -> SplitRecord:
        images = tuple(ClassImages("", f"class{number}", 3, digest) for number in range(10))
        return SplitRecord("imagefolder", 0, 20, 5, 5, 0.2, (1,), images)

    found = changes(record("a"), record("b"))
    assert found[:2] == ["files in class0 changed", "files in class1 changed"]
    assert found[-1] == "files in 6 more classes changed"
    renamed = replace(record("a"), images=tuple(replace(one, name=f"new{one.name}") for one in record("a").images))
    assert changes(record("a"), renamed)[0].startswith("classes class0, class1, class2, class3 and 6 more are gone, ")


@pytest.mark.parametrize("name", ["digits", "hard_digits"])
def test_the_bundled_digits_are_known_by_their_scans_at_any_size(name: str) -> None:
    config = DataConfig(name=DataName(name), image_size=16)
    small, large = (load(replace(config, image_size=size), CPU).record for size in (16, 20))
    assert sum(one.images for one in small.images) == 1797
    assert changes(small, large) == []
    assert changes(small, replace(small, data="cifar10")) == [f"data {name}, now cifar10"]


def test_the_test_part_alone_is_compared_with_what_was_recorded_of_it(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "test")):
        for name in ("a", "b"):
            write_images(tmp_path / part / name, 8, seed=number)
    before = record_of(tmp_path)
    shutil.rmtree(tmp_path / "train")
    config = DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8)
    assert held_out_changes(before, held_out(config, FORMAT).images) == []
    (tmp_path / "test" / "a" / "0.png").unlink()
    assert held_out_changes(before, held_out(config, FORMAT).images) == ["1 file fewer in test/a"]
