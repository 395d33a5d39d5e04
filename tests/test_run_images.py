"""A run is bound to its images: other ones are refused with the difference, wherever they come in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from frostnas.artifacts import TrainResult, load
from tests.commands import SHORT, done, interrupted, refused, write_net, write_photos
from tests.test_data_folder import write_images


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, `net.json` and the exported run `run`."""
    folder = tmp_path_factory.mktemp("bound")
    write_photos(folder / "photos")
    data = ["data=imagefolder", f"data.root={folder / 'photos'}"]
    done("train", f"run_dir={folder / 'run'}", f"net={write_net(folder / 'net.json')}", *data, *SHORT)
    done("export", f"run_dir={folder / 'run'}", *settings())
    return folder


def settings() -> list[str]:
    """Of `SHORT`, what the export reads: its data are those of the run."""
    return [word for word in SHORT if not word.startswith(("data.", "train."))]


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy whose run names its own photos."""
    copy = shutil.copytree(trained, tmp_path / "copy")
    text = (copy / "run" / "config.yaml").read_text()
    (copy / "run" / "config.yaml").write_text(text.replace(str(trained / "photos"), str(copy / "photos")))
    return copy


def train(folder: Path, *more: str) -> list[str]:
    data = ["data=imagefolder", f"data.root={folder / 'photos'}"]
    return ["train", f"run_dir={folder / 'run'}", f"net={folder / 'net.json'}", *data, *SHORT, *more]


def test_the_data_of_the_run_need_not_be_named_again(folder: Path) -> None:
    assert "already done" in done("export", f"run_dir={folder / 'run'}", *settings())
    words = [word for word in train(folder) if not word.startswith("data")]
    assert "already done" in done(*words)


def test_a_renamed_class_is_refused_by_name(folder: Path) -> None:
    (folder / "photos" / "blue").rename(folder / "photos" / "zblue")
    before = (folder / "run" / "train.json").read_bytes()
    for words in (train(folder), ["export", f"run_dir={folder / 'run'}", *settings()]):
        said = refused(*words)
        assert "train.json: was made with other images (class blue is gone, zblue is new)" in said
    assert "class zblue is not among the 3 that are learnt" in refused("evaluate", folder / "run", *settings())
    assert (folder / "run" / "train.json").read_bytes() == before


def test_more_images_are_refused_with_their_number(folder: Path) -> None:
    write_images(folder / "photos" / "green" / "more", 60, seed=9)
    data = ["data=imagefolder", f"data.root={folder / 'photos'}"]
    said = "60 files more in green"
    assert said in refused(*train(folder))
    assert said in refused("export", f"run_dir={folder / 'run'}", *settings(), "--force")
    assert said in refused("evaluate", folder / "run", *settings())
    assert said in refused("evaluate", folder / "run", *data, *settings())  # the run's own folder, named


def test_another_split_or_size_is_refused_by_the_export(folder: Path) -> None:
    export = ["export", f"run_dir={folder / 'run'}", *settings()]
    assert "images (split seed 0, now 1)" in refused(*export, "data.split_seed=1")
    assert "images (image size 8, now 16)" in refused(*export, "data.image_size=16")
    assert "images (data imagefolder, now digits)" in refused(*export, "data=digits", "data.image_size=8")


def test_contents_swapped_in_the_middle_of_a_training_are_refused(folder: Path) -> None:
    words = [*train(folder, "train.float_epochs=200"), f"run_dir={folder / 'other'}"]
    interrupted(folder / "other" / "metrics" / "train.csv", 2, *words)
    blue, red, aside = (folder / "photos" / name for name in ("blue", "red", "aside"))
    for old, new in ((blue, aside), (red, blue), (aside, red)):
        old.rename(new)
    said = refused(*words)
    assert "an unfinished train is there, begun with other images (files in blue changed; files in red changed)" in said


def evaluation(*words: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(done("evaluate", *words, "--json", *settings()).splitlines()[-1])
    return found


def test_evaluate_scores_what_the_training_held_out_whatever_the_split_of_today(folder: Path) -> None:
    split = load(folder / "run" / "train.json", TrainResult).value.split
    export = json.loads((folder / "run" / "export.json").read_text())["data"]
    for more in ([], ["data.split_seed=3", "data.test_fraction=0.5"]):
        found = evaluation(folder / "run", *more)
        assert (found["images"], found["part"]) == (split.test, "the run's own test split")
        assert found["top1"] == export["int8"]["top1"]


def test_evaluate_scores_other_data_whole_or_the_share_that_is_named_and_says_so(folder: Path) -> None:
    other = ["data=imagefolder", f"data.root={write_photos(folder / 'others', each=10)}"]
    whole = evaluation(folder / "run", *other)
    assert whole["images"] == 30
    assert whole["part"] == f"all of data=imagefolder data.root={folder / 'others'}, other data than the run's"
    share = evaluation(folder / "run", *other, "data.test_fraction=0.5")
    assert share["images"] == 15
    assert "15 of 30 images of data=imagefolder" in str(share["part"]) and "test_fraction=0.5" in str(share["part"])


def test_the_same_images_elsewhere_are_the_same_data(folder: Path) -> None:
    moved = shutil.copytree(folder / "photos", folder / "moved")
    found = evaluation(folder / "run", f"data.root={moved}")
    assert found["part"] == "the run's own test split"
    assert "already done" in done("export", f"run_dir={folder / 'run'}", f"data.root={moved}", *settings())


def test_a_file_that_is_not_the_exported_one_is_not_scored(folder: Path) -> None:
    shutil.copy(folder / "run" / "model.fp32.onnx", folder / "run" / "model.int8.onnx")
    assert "model.int8.onnx: is not the file that its export.json" in refused("evaluate", folder / "run", *settings())


def test_a_network_of_the_run_itself_is_trained_on_the_images_it_was_searched_on(folder: Path) -> None:
    net = json.loads((folder / "net.json").read_text())
    of_run = json.loads((folder / "run" / "train.json").read_text())
    (folder / "mine").mkdir()
    (folder / "mine" / "net.json").write_text(json.dumps(net | {name: of_run[name] for name in ("split", "images")}))
    words = [word for word in train(folder) if not word.startswith(("run_dir=", "net="))]
    said = refused(*words, f"run_dir={folder / 'mine'}", "data.split_seed=1")
    assert "net.json: was made with other images (split seed 0, now 1)" in said
    assert not (folder / "mine" / "train.json").exists()


def test_a_command_that_was_refused_leaves_no_data_for_later_ones(tmp_path: Path) -> None:
    run = f"run_dir={tmp_path / 'run'}"
    assert "no such folder" in refused("train", run, "net=frostnet_small_0_35", "data=imagefolder", "data.root=absent")
    assert "data=digits" not in refused("export", run)
    assert not (tmp_path / "run" / "config.yaml").exists()
