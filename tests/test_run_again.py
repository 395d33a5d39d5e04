"""The same command again, after other settings, an interrupt, damage and --force."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from frostnas.artifacts import ExportReport, load
from tests.commands import SHORT, done, interrupted, invoke, refused, write_net, write_photos


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, `net.json` and the exported run `run`."""
    folder = tmp_path_factory.mktemp("again")
    write_photos(folder / "photos")
    write_net(folder / "net.json")
    done(*words(folder, "train"))
    done(*words(folder, "export"))
    return folder


def words(folder: Path, command: str, *more: str) -> list[str]:
    data = ["data=imagefolder", f"data.root={folder / 'photos'}"]
    return [command, f"run_dir={folder / 'run'}", f"net={folder / 'net.json'}", *data, *SHORT, *more]


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "copy")


def contents(run: Path) -> dict[str, bytes]:
    names = ("train.json", "weights.safetensors", "model.int8.onnx", "model.fp32.onnx", "export.json")
    return {name: (run / name).read_bytes() for name in names if (run / name).is_file()}


def test_other_settings_of_an_unfinished_training_are_refused_by_key_and_force_keeps_a_copy(folder: Path) -> None:
    run, long = folder / "run2", ["train.float_epochs=200"]
    train = [*words(folder, "train", *long), f"run_dir={run}"]
    interrupted(run / "metrics" / "train.csv", 5, *train)
    checkpoint = (run / "checkpoints" / "train.pt").read_bytes()
    said = refused(*train, "train.epochs=2")
    assert "an unfinished train is there, begun with other train.epochs (1, now 2)" in said and "--force" in said
    assert (run / "checkpoints" / "train.pt").read_bytes() == checkpoint
    anew = done(*train, "train.float_epochs=2", "--force")
    assert "going on" not in anew
    assert (run / "checkpoints" / "kept" / "checkpoints" / "train.pt").read_bytes() == checkpoint
    assert not (run / "checkpoints" / "begun" / "train.json").exists()


def test_an_unfinished_training_goes_on_and_another_number_of_threads_is_said(folder: Path) -> None:
    run, before = folder / "run2", torch.get_num_threads()
    train = [*words(folder, "train", "train.float_epochs=60"), f"run_dir={run}"]
    interrupted(run / "metrics" / "train.csv", 5, *train)
    torch.set_num_threads(before + 1)
    try:
        said = done(*train)
    finally:
        torch.set_num_threads(before)
    assert "going on from epoch" in said
    assert f"the unfinished train was made on {before} thread(s), and the run goes on with {before + 1}" in said
    assert json.loads((run / "train.json").read_text())["threads"] == before + 1


def test_force_trains_anew_and_leaves_the_old_files_until_the_new_are_whole(folder: Path) -> None:
    run, old = folder / "run", contents(folder / "run")
    train = words(folder, "train", "train.float_epochs=200", "--force")
    interrupted(run / "metrics" / "train.csv", 5, *train)
    assert contents(run) == old
    short = words(folder, "train", "--force")
    said = done(*short)
    assert "going on" not in said and "epoch" not in said
    assert contents(run)["weights.safetensors"] == old["weights.safetensors"]  # of the same seed
    assert (run / "metrics" / "train.csv").read_text().count("\n") == 3


def test_interrupted_the_same_forced_command_goes_on(folder: Path) -> None:
    run = folder / "run"
    train = words(folder, "train", "train.float_epochs=60", "--force")
    interrupted(run / "metrics" / "train.csv", 5, *train)
    assert "going on from epoch" in done(*train)
    assert "going on" not in done(*train)  # finished, it begins anew


@pytest.mark.parametrize(
    ("name", "harm"), [("weights.safetensors", "flipped"), ("model.int8.onnx", "cut"), ("model.fp32.onnx", "gone")]
)
def test_a_damaged_file_is_named_and_made_again(folder: Path, name: str, harm: str) -> None:
    run, old = folder / "run", contents(folder / "run")
    path = run / name
    match harm:
        case "flipped":
            path.write_bytes(old[name][:100] + bytes([old[name][100] ^ 1]) + old[name][101:])
        case "cut":
            path.write_bytes(b"")
        case _:
            path.unlink()
    command = "train" if name.startswith("weights") else "export"
    said = done(*words(folder, command))
    assert f"{command}: made again: {name} is {'gone' if harm == 'gone' else 'not the file that was written'}" in said
    assert path.read_bytes() == old[name]
    assert "already done" in done(*words(folder, command))


def test_every_file_that_is_more_than_a_plot_has_its_digest_in_the_artifact(folder: Path) -> None:
    assert set(load(folder / "run" / "export.json", ExportReport).files) == {"model.int8.onnx", "model.fp32.onnx"}
    assert set(json.loads((folder / "run" / "train.json").read_text())["files"]) == {"weights.safetensors"}
    assert {"training.png", "ranges.png"} <= {path.name for path in (folder / "run").iterdir()}
    (folder / "run" / "training.png").unlink()
    assert "already done" in done(*words(folder, "train"))


def test_a_refused_export_leaves_the_good_files_and_its_own_for_inspection(folder: Path) -> None:
    run, old = folder / "run", contents(folder / "run")
    result = invoke(*words(folder, "export", "export.formats=[onnx,tflite]", "--force"))
    assert result.exit_code == 2, result.output  # it is not installed
    assert contents(run) == old and not (run / "export.part").exists()


def test_an_empty_run_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "run_dir=: expected a folder" in refused("train", "run_dir=")
    assert list(tmp_path.iterdir()) == []
