"""Folders as people bring them: spellings of splits, classes called like one, hidden folders, links, names, copies."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from frostnas.artifacts import ImageFormat
from frostnas.config import DataConfig, DataName
from frostnas.data.held_out import held_out
from frostnas.errors import InputError
from tests.test_data_folder import read, write_images

ODD_NAME = os.fsdecode(b"caf\xe9")


def write_splits(root: Path, *names: str, classes: tuple[str, ...] = ("cat", "dog")) -> None:
    for number, split in enumerate(names):
        for label, name in enumerate(classes):
            write_images(root / split / name, 8, seed=10 * number + label)


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Test"),
        ("training", "validation"),
        ("train_set", "test-images"),
        ("TrainingData", "testset"),
        ("train2017", "val2017"),
        ("Training Images", "Valid"),
    ],
)
def test_usual_spellings_of_two_splits_are_known(tmp_path: Path, names: tuple[str, str]) -> None:
    write_splits(tmp_path, *names)
    splits = read(tmp_path)
    assert splits.format.classes == ("cat", "dog")
    assert splits.record.test == 16
    assert splits.notes[0] == f"folders to train on: {names[0]}, to test on: {names[1]}"


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Training", "dev", "Testing")])
def test_a_third_split_is_the_one_to_choose_on(tmp_path: Path, names: tuple[str, str, str]) -> None:
    write_splits(tmp_path, *names)
    shutil.rmtree(tmp_path / names[1] / "dog")
    write_images(tmp_path / names[1] / "dog", 3, seed=99)
    splits = read(tmp_path)
    assert (splits.record.train, splits.record.val, splits.record.test) == (16, 11, 16)
    assert splits.notes[0] == f"folders to train on: {names[0]}, to choose on: {names[1]}, to test on: {names[2]}"


@pytest.mark.parametrize(
    "names", [("seg_train", "seg_test"), ("train", "holdout"), ("train", "evaluation"), ("fold1", "fold2")]
)
def test_folders_that_look_like_splits_and_are_not_understood_are_an_error(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    write_splits(tmp_path, *names)
    with pytest.raises(InputError, match=f"{names[1]}.* looks? like .* not understood"):
        read(tmp_path)


def test_a_folder_with_the_classes_of_train_is_no_class_whatever_it_is_called(tmp_path: Path) -> None:
    write_splits(tmp_path, "train", "later")
    with pytest.raises(InputError, match="later looks like a split"):
        read(tmp_path)


def test_two_folders_for_one_split_are_an_error(tmp_path: Path) -> None:
    write_splits(tmp_path, "train", "val", "validation")
    with pytest.raises(InputError, match="val and validation are both for val"):
        read(tmp_path)


def test_splits_without_class_folders_are_no_classes(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_images(tmp_path / name, 8)
    with pytest.raises(InputError, match="train has 0 class folders"):
        read(tmp_path)


def test_folders_beside_the_splits_are_named_and_not_used(tmp_path: Path) -> None:
    write_splits(tmp_path, "train", "test")
    write_images(tmp_path / "notes", 3)
    splits = read(tmp_path)
    assert splits.format.classes == ("cat", "dog")
    assert splits.notes[0].endswith("; not used: notes")


@pytest.mark.parametrize("name", ["train", "val", "test", "Train", "training"])
def test_a_class_called_like_a_split_beside_other_classes_is_a_class(tmp_path: Path, name: str) -> None:
    for number, one in enumerate((name, "bus", "car")):
        write_images(tmp_path / one, 10, seed=number)
    write_images(tmp_path / name / "freight", 10, seed=7)  # classes may have folders inside
    splits = read(tmp_path)
    assert splits.format.classes == tuple(sorted((name, "bus", "car")))
    assert splits.record.train + splits.record.val + splits.record.test == 40


def test_classes_whose_names_have_a_word_of_splits_are_classes(tmp_path: Path) -> None:
    for number, one in enumerate(("test_tube", "train_station")):
        write_images(tmp_path / one, 10, seed=number)
    assert read(tmp_path).format.classes == ("test_tube", "train_station")


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", "__MACOSX", "@eaDir"])
def test_hidden_folders_hold_neither_classes_nor_images(tmp_path: Path, hidden: str) -> None:
    for number, name in enumerate(("a", "b")):
        write_images(tmp_path / name, 10, seed=number)
        write_images(tmp_path / name / hidden, 10, seed=number)
    write_images(tmp_path / hidden, 10)
    splits = read(tmp_path)
    assert splits.format.classes == ("a", "b")
    assert splits.record.train + splits.record.val + splits.record.test == 20
    assert splits.notes == ()


def test_links_to_folders_are_followed_once_each(tmp_path: Path) -> None:
    write_images(tmp_path / "elsewhere" / "deep", 6, seed=5)
    for number, name in enumerate(("a", "b")):
        write_images(tmp_path / "root" / name, 10, seed=number)
    (tmp_path / "root" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "a" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "a" / "round").symlink_to(tmp_path / "root" / "a")
    splits = read(tmp_path / "root")
    assert [one.images for one in splits.record.images] == [16, 10]


def test_a_link_that_leads_nowhere_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b")):
        write_images(tmp_path / name, 10, seed=number)
    (tmp_path / "a" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    assert read(tmp_path).record.skipped == 1


def test_a_class_folder_whose_name_is_no_text_is_refused_when_it_is_listed(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", ODD_NAME)):
        write_images(tmp_path / name, 10, seed=number)
    with pytest.raises(InputError, match=r"class folder .*caf\\xe9 has a name that is not UTF-8") as caught:
        read(tmp_path)
    str(caught.value).encode()


def test_a_file_whose_name_is_no_text_is_read_and_can_be_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("a", "b")):
        write_images(tmp_path / name, 10, seed=number)
    (tmp_path / "a" / "0.png").rename(tmp_path / "a" / f"{ODD_NAME}.png")
    (tmp_path / "b" / f"{ODD_NAME}.png").write_text("no image")
    shutil.copy(tmp_path / "a" / f"{ODD_NAME}.png", tmp_path / "b" / f"{ODD_NAME}2.png")
    splits = read(tmp_path)
    assert splits.record.train + splits.record.val + splits.record.test == 21
    assert r"caf\xe9.png: skipped" in caplog.text
    "\n".join((*splits.notes, caplog.text)).encode()


def test_one_name_in_both_of_unicodes_spellings_is_one_class(tmp_path: Path) -> None:
    for number, (split, form) in enumerate((("train", "NFC"), ("test", "NFD"))):
        write_splits(tmp_path, split, classes=(unicodedata.normalize(form, "é"), f"z{number * 0}"))
    assert read(tmp_path).format.classes == ("z0", "é")
    write_images(tmp_path / "train" / unicodedata.normalize("NFD", "é"), 3)
    with pytest.raises(InputError, match="there are two class folders é"):
        read(tmp_path)


def test_copies_across_splits_and_classes_are_counted_and_said(tmp_path: Path) -> None:
    write_splits(tmp_path, "train", "val", "test")
    for number in range(3):
        shutil.copy(tmp_path / "train" / "cat" / f"{number}.png", tmp_path / "test" / "cat" / f"copy{number}.png")
    shutil.copy(tmp_path / "train" / "cat" / "7.png", tmp_path / "val" / "dog" / "copy.png")
    copies = [note for note in read(tmp_path).notes if "copies" in note]
    assert copies[0].startswith("3 of 19 images to test on are copies of images to train on, such as ")
    assert copies[1].startswith("1 of 17 images to choose on are copies of images to train on, such as ")
    assert copies[2].startswith("1 images are copies of images of another class, such as ")


def test_a_folder_of_a_thousand_copies_says_how_many_are_tested_on(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 10, seed=1)
    write_images(tmp_path / "b", 10, seed=2)
    for name in ("a", "b"):
        for number in range(10):
            shutil.copy(tmp_path / name / f"{number}.png", tmp_path / name / f"copy{number}.png")
    assert any("images to test on are copies of images to train on" in note for note in read(tmp_path).notes)


def test_a_test_split_may_lack_a_class_and_says_so(tmp_path: Path) -> None:
    write_splits(tmp_path, "train", classes=("cat", "dog", "fox"))
    write_splits(tmp_path, "test")
    (tmp_path / "test" / "fox").mkdir()
    splits = read(tmp_path)
    assert splits.format.classes == ("cat", "dog", "fox")
    assert "there is no image to test on of class fox" in splits.notes
    shutil.rmtree(tmp_path / "test" / "cat")
    config = DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8)
    found = held_out(config, splits.format)
    assert found.classes == ("cat", "dog", "fox")
    assert set(found.labels.tolist()) == {1}


def test_a_wrong_class_among_many_is_named_with_the_one_it_stands_for(tmp_path: Path) -> None:
    names = tuple(f"class{number:03}" for number in range(200))
    for name in (*names[:150], "klass150", *names[151:]):
        (tmp_path / "test" / name).mkdir(parents=True)
    images = ImageFormat(names, 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    config = DataConfig(name=DataName.imagefolder, root=str(tmp_path), image_size=8)
    wanted = "class klass150 is not among the 200 that are learnt, of which class150 is not here"
    with pytest.raises(InputError, match=wanted):
        held_out(config, images)


def test_a_class_too_small_to_split_is_named_with_what_would_do(tmp_path: Path) -> None:
    write_images(tmp_path / "many", 20, seed=1)
    write_images(tmp_path / "few", 1, seed=2)
    with pytest.raises(InputError, match=r"too few images to split in class few \(1\); expected at least 2 of each"):
        read(tmp_path)
    write_images(tmp_path / "few", 2, seed=2)
    assert "there is no image to test on of class few" in read(tmp_path).notes


def test_a_fraction_too_small_for_the_classes_says_which_would_do(tmp_path: Path) -> None:
    for number in range(4):
        write_images(tmp_path / f"class{number}", 5, seed=number)
    with pytest.raises(InputError, match=r"into 18 and 2, .* of 4 classes; expected a fraction from 0\.200 to 0\.800"):
        read(tmp_path, test_fraction=0.1)
    assert read(tmp_path, test_fraction=0.2, val_fraction=0.25).record.test == 4
