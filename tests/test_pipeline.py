"""The chain as a user runs it: every stage real, in one run directory, on the bundled digits."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torchvision
from matplotlib.image import imread
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import frostnas
from frostnas.config.compose import compose_config
from frostnas.data import Images
from frostnas.data.normalise import Normalise
from frostnas.deploy.formats.base import ParityError
from frostnas.deploy.onnx.difference import LayerDifference, layer_differences
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.deploy.parity import named_by_file
from frostnas.deploy.runtime import OnnxClassifier
from frostnas.engine import Workspace
from frostnas.nets import Net
from frostnas.picture import fit, read_picture
from frostnas.pipeline import STAGES, Session
from tests.damage import resealed, rewritten
from tests.terminal import said
from tests.tiny import TINY

FROSTNAS = [sys.executable, "-W", "error", "-c", "from frostnas.cli import main; main()"]
PLOTS = ["block.png", "block.svg", "block_history.png", "pareto.png", "pareto.svg", "training.png", "ranges.png"]
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from frostnas.cli import main
main()
"""
NOT_ON_A_BOARD = ["torch", "torchvision", "onnx", "pandas", "safetensors", "filelock"]
ARTIFACTS = ["block.json", "latency.json", "net.json", "train.json", "export.json"]


def command(run_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command with its words, in this process."""
    line = [words[0], f"run_dir={run_dir}", *TINY, *words[1:]]
    end = said(*line)
    return subprocess.CompletedProcess(line, end.status, end.out, end.err)


def without(packages: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    """A command where ``packages`` cannot be imported."""
    line = [sys.executable, "-W", "error", "-c", WITHOUT.format(packages), *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.slow
def test_training_starts_from_what_the_search_trained_unless_told_otherwise(finished: Path, tmp_path: Path) -> None:
    """In one epoch with a step of next to nothing, weights stay what they were at the start."""
    shutil.copy(finished / "net.json", tmp_path)
    words = [
        "train",
        f"net={tmp_path / 'net.json'}",
        "train.optim.lr=1e-9",
        "train.float_epochs=0",
        "train.epochs=1",
        "train.frozen_epochs=0",
    ]
    missing = command(tmp_path / "missing", *words)
    assert missing.returncode == 2 and "net.safetensors: no such file, of which net.json speaks" in missing.stderr
    shutil.copy(finished / "net.safetensors", tmp_path)
    for run, more in (("inherits", []), ("anew", ["train.inherit=false"])):
        done = command(tmp_path / run, *words, *more)
        assert done.returncode == 0, done.stderr
    searched = load_file(tmp_path / "net.safetensors")
    inherits, anew = (load_file(tmp_path / run / "weights.safetensors") for run in ("inherits", "anew"))
    name = "stem.conv.weight"
    torch.testing.assert_close(inherits[name], searched[name], atol=1e-5, rtol=0)
    assert (anew[name] - searched[name]).abs().max() > 0.01
    with (tmp_path / "net.safetensors").open("ab") as file:
        file.write(b" ")
    other = command(tmp_path / "other", *words)
    assert other.returncode == 2 and "net.safetensors: is not that of its net.json" in other.stderr


def write_digits(folder: Path, count: int) -> None:
    """The first of scikit-learn's digits as files, a folder per class."""
    digits = load_digits()
    for number in range(count):
        path = folder / str(digits.target[number]) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[number] * 255 / 16).astype(np.uint8)).resize((40, 30)).save(path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory after `frostnas run`."""
    folder = tmp_path_factory.mktemp("run") / "tiny"
    line = [*FROSTNAS, "run", f"run_dir={folder}", *TINY, "--json", "logger=tensorboard"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"search-block", "profile-latency", "search-net", "train", "export"}
    return folder


def test_every_stage_leaves_its_artifact(finished: Path) -> None:
    for name in [*ARTIFACTS, "latency.csv", "pareto.csv", "weights.safetensors", "config.yaml", "frostnas.log", *PLOTS]:
        assert (finished / name).is_file(), name
    assert {file.stem for file in (finished / "metrics").iterdir()} >= {"search-block", "search-net", "train", "ranges"}


@pytest.mark.parametrize(
    ("stage", "column", "tag"),
    [
        ("search-block", "loss", "loss/seed_0"),
        ("search-net", "loss", "loss"),
        ("train", "val_top1", "val_top1"),
        ("ranges", "high", "high/stem.quantizer"),
    ],
)
def test_tensorboard_holds_the_metrics_of_every_stage(finished: Path, stage: str, column: str, tag: str) -> None:
    with (finished / "metrics" / f"{stage}.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("layer") in (None, "stem.quantizer")]
    events = EventAccumulator(str(finished / "tensorboard" / stage)).Reload().Scalars(tag)
    assert [event.step for event in events] == [int(row["epoch"]) for row in rows] and rows
    assert [event.value for event in events] == pytest.approx([float(row[column]) for row in rows], rel=1e-6)


def test_a_second_run_does_nothing_and_says_so_whatever_the_logger(finished: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished.glob("*.json")}
    done = command(finished, "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("already done") == 5
    assert {file: file.stat().st_mtime_ns for file in finished.glob("*.json")} == before
    for line in ("block found", "network", "parameters", "multiply-adds", "top-1 FP32", "fake-quant", "INT8", "files"):
        assert line in done.stdout


def test_other_settings_are_refused_by_name_and_nothing_is_overwritten(finished: Path) -> None:
    before = (finished / "train.json").read_bytes()
    done = command(finished, "train", "train.epochs=3")
    assert done.returncode == 2
    assert "train.json: was made with other train.epochs (2, now 3)" in done.stderr
    assert (finished / "train.json").read_bytes() == before


@pytest.mark.slow
def test_a_run_of_a_given_block_and_table_searches_the_network_alone(finished: Path, tmp_path: Path) -> None:
    given = [f"block={finished / 'block.json'}", f"table={finished / 'latency.json'}"]
    done = command(tmp_path / "given", "run", *given)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / "given").glob("*.json")}
    assert made == {"net.json", "train.json", "export.json", "inspection.json"}
    assert "block given" in done.stdout and "block found" not in done.stdout
    nets = [frostnas.load(run / "net.json", frostnas.NetResult).value.net for run in (tmp_path / "given", finished)]
    assert nets[0] == nets[1]


@pytest.mark.slow
def test_networks_to_compare_with_are_added_without_a_new_search(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    before = frostnas.load(copy / "net.json", frostnas.NetResult).value
    done = command(copy, "search-net", "search_net.baselines=[frostnet_small_0_35]", "search_net.float_epochs=1")
    assert done.returncode == 0, done.stderr
    assert "search-net: made again: search_net.baselines ([], now ['frostnet_small_0_35'])" in done.stdout
    assert "search-net: going on from epoch 3" in done.stdout  # the supernet has both of its epochs
    assert frostnas.load(copy / "net.json", frostnas.NetResult).value.net == before.net
    assert "frostnet_small_0_35" in (copy / "pareto.csv").read_text()
    assert "frostnet_small_0_35" not in (finished / "pareto.csv").read_text()


@pytest.mark.slow
def test_a_search_that_fails_leaves_the_files_of_the_former_one(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    names = ("net.json", "net.safetensors", "pareto.csv", "pareto.svg")
    done = command(copy, "search-net", "budget.latency_ms=1e-6", "--force")
    assert done.returncode == 2 and "budget.latency_ms" in done.stderr
    assert [(copy / name).read_bytes() for name in names] == [(finished / name).read_bytes() for name in names]


def test_the_exported_file_documents_itself_and_takes_any_batch(finished: Path) -> None:
    session = ort.InferenceSession(str(finished / "model.int8.onnx"), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == [str(digit) for digit in range(10)]
    assert metadata["image_size"] == "8"
    assert len(json.loads(metadata["mean"])) == len(json.loads(metadata["std"])) == 3
    assert metadata["frostnas_version"] == frostnas.__version__
    assert len(metadata["net_sha256"]) == 64
    for batch in (1, 5):
        (logits,) = session.run(["logits"], {"image": np.zeros((batch, 3, 8, 8), np.float32)})
        assert np.asarray(logits).shape == (batch, 10)


def test_the_split_is_stored_and_stratified(finished: Path) -> None:
    from sklearn.datasets import load_digits

    split = frostnas.load(finished / "train.json", frostnas.TrainResult).value.split
    assert split.test == 360 and split.test_indices is not None and len(set(split.test_indices)) == 360
    counts = np.bincount(load_digits().target[list(split.test_indices)])
    assert counts.min() >= 34 and counts.max() <= 38


def test_the_latency_of_the_chosen_network_is_within_its_budget(finished: Path) -> None:
    net = frostnas.load(finished / "net.json", frostnas.NetResult).value
    assert 0 < net.predicted_ms <= net.budget_ms
    report = frostnas.load(finished / "export.json", frostnas.ExportReport).value
    assert report.predicted_ms == pytest.approx(net.predicted_ms)
    assert report.int8.latency_ms_p50 > 0 and report.fp32.latency_ms_p50 > 0
    assert report.pace is not None and report.pace > 0


def test_evaluate_gives_the_accuracy_that_export_reported(finished: Path) -> None:
    done = command(finished, "evaluate", str(finished / "model.int8.onnx"), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    report = frostnas.load(finished / "export.json", frostnas.ExportReport).value
    assert result["top1"] == report.int8.top1
    assert sum(sum(row) for row in result["confusion"]) == 360
    assert [one["batch"] for one in result["throughput"]] == [1, 4, 16, 64]
    rows = list(csv.reader((finished / "model.int8.confusion.csv").read_text().splitlines()))
    assert [[int(count) for count in row[1:]] for row in rows[1:]] == result["confusion"]
    assert imread(finished / "model.int8.confusion.png").shape[:2] == (1050, 1050)


class Page(HTMLParser):
    """What a browser would show, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words, self.headings, self.fetched = "", list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.get_starttag_text() == "<h2>" and data.strip():
            self.headings.append(data)


def test_the_report_is_one_file_with_numbers_and_plots(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "<run>")
    done = command(tmp_path, "report", str(folder))
    assert done.returncode == 0, done.stderr
    page = Page((folder / "report.html").read_text())
    export = json.loads((folder / "export.json").read_text())["data"]
    assert f"{export['int8']['top1']:.2%} ({export['agreement']:.2%} agree with fake-quant" in page.words
    assert f"measured {export['int8']['latency_ms_p50']:.3f} ms" in page.words
    assert "<run>" in page.words
    assert len(page.fetched) >= 5 and all(one.startswith("data:image/") for one in page.fetched)
    assert "was made from another" not in page.words


def test_the_report_of_a_training_alone_says_what_there_is(finished: Path, tmp_path: Path) -> None:
    for name in ("train.json", "config.yaml"):
        shutil.copy(finished / name, tmp_path)
    assert command(tmp_path, "report").returncode == 0
    page = Page((tmp_path / "report.html").read_text())
    assert page.headings[-2:] == ["Training", "Settings"] and "top-1 fake-quant" in page.words
    assert "train.json: weights.safetensors is gone" in page.words


def test_the_report_says_which_artifact_is_out_of_date(finished: Path, tmp_path: Path) -> None:
    for name in ("train.json", "export.json"):
        shutil.copy(finished / name, tmp_path)
    with (tmp_path / "train.json").open("a") as file:
        file.write("\n")
    assert command(tmp_path, "report").returncode == 0
    assert "export.json was made from another train.json than the one here" in (tmp_path / "report.html").read_text()


def test_the_report_says_which_file_is_damaged_and_which_images_differ(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    (copy / "model.int8.onnx").write_bytes(b"")
    rewritten(copy / "net.json", lambda content: content["split"].update(seed=7))
    assert command(copy, "report").returncode == 0
    page = Page((copy / "report.html").read_text())
    assert "export.json: model.int8.onnx is not the file that was written" in page.words
    assert "train.json was made with other images (split seed 7, now 0) than net.json" in page.words


def test_predict_needs_no_torch_and_names_what_the_network_names(finished: Path, tmp_path: Path) -> None:
    digits = load_digits()
    for number in range(6):
        Image.fromarray((digits.images[number] * 255 / 16).astype(np.uint8)).resize((40, 30)).save(
            tmp_path / f"{number}.png"
        )
    words = ["predict", str(finished), *(str(tmp_path / f"{number}.png") for number in range(6)), "--json"]
    done = without([*NOT_ON_A_BOARD, "hydra", "omegaconf", "sklearn", "scipy", "matplotlib"], *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    model = OnnxClassifier(finished / "model.int8.onnx")
    normalise = Normalise(model.images, torch.device("cpu"))
    for number, one in enumerate(found):
        pixels = fit(read_picture(tmp_path / f"{number}.png", model.images.reading), model.images.image_size).transpose(
            2, 0, 1
        )
        image = normalise(torch.from_numpy(pixels[None].astype(np.float32)) / 255)
        chances = torch.from_numpy(model.logits(image.numpy())[0]).double().softmax(0)
        assert one["classes"][0]["name"] == model.images.classes[int(chances.argmax())]
        assert one["classes"][0]["probability"] == pytest.approx(chances.max().item(), rel=1e-9)


@pytest.mark.parametrize("layout", ["", pytest.param("val", marks=pytest.mark.slow)])
def test_evaluate_needs_no_torch_and_says_the_same(finished: Path, tmp_path: Path, layout: str) -> None:
    write_digits(tmp_path / "photos" / layout, 200)
    (tmp_path / "photos" / layout / "0" / "notes.txt").write_text("not an image")
    file = shutil.copy(finished / "model.int8.onnx", tmp_path)
    words = ["evaluate", file, "data=imagefolder", f"data.root={tmp_path / 'photos'}", "latency.rounds=2", "--json"]
    absent = [*NOT_ON_A_BOARD, "matplotlib", *(["sklearn", "scipy"] if layout else [])]  # they draw a split
    alone, beside = without(absent, *words), without([], *words)
    assert alone.returncode == beside.returncode == 0, alone.stderr + beside.stderr
    assert "model.int8.confusion.png: not drawn: " in alone.stderr and "not drawn" not in beside.stderr
    results = [json.loads(done.stdout) for done in (alone, beside)]
    timed = ("latency_ms_p50", "latency_ms_p90", "throughput")
    assert all(one.pop(name) for one in results for name in timed)
    assert results[0] == results[1]
    assert results[0]["images"] == (200 if layout else 40)
    assert results[0]["top1"] > 0.3  # chance is 0.1; of a short training on the same digits in another size and scale


@pytest.mark.parametrize(
    ("name", "package"), [("hard_digits", "torch"), ("cifar10", "torchvision"), ("digits", "sklearn")]
)
def test_data_that_needs_what_is_not_there_says_so_in_a_line(finished: Path, name: str, package: str) -> None:
    absent = [*NOT_ON_A_BOARD, *(["sklearn"] if package == "sklearn" else [])]
    done = without(absent, "evaluate", str(finished), f"data={name}")
    assert done.returncode == 2
    assert f"data={name}: cannot be read without the package {package}," in done.stderr
    assert done.stderr.count("\n") == 1


def test_predict_names_what_it_cannot_read(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    for word, complaint in (("text.png", "cannot be read as an image"), ("none.png", "no such file")):
        line = [*FROSTNAS, "predict", str(finished), str(tmp_path / word)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"{word}: {complaint}" in done.stderr


def test_a_training_without_epochs_has_ranges_and_nothing_to_draw(finished: Path, tmp_path: Path) -> None:
    still = ["train.float_epochs=0", "train.epochs=0", f"train.weights={finished / 'weights.safetensors'}"]
    done = command(tmp_path / "still", "train", f"net={finished / 'net.json'}", *still)
    assert done.returncode == 0, done.stderr
    result = frostnas.load(tmp_path / "still" / "train.json", frostnas.TrainResult).value
    assert result.fake_quant.test == pytest.approx(result.fp32.test, abs=0.05)
    assert not (tmp_path / "still" / "ranges.png").exists()


@pytest.mark.slow
def test_what_weights_to_start_from_hold_counts_and_not_where_they_lie(finished: Path, tmp_path: Path) -> None:
    still = ["train", f"net={finished / 'net.json'}", "train.float_epochs=0", "train.epochs=0"]
    moved, other = tmp_path / "moved.safetensors", tmp_path / "other.safetensors"
    shutil.copy(finished / "weights.safetensors", moved)
    shutil.copy(finished / "net.safetensors", other)
    done = command(tmp_path / "still", *still, f"train.weights={finished / 'weights.safetensors'}")
    assert done.returncode == 0, done.stderr
    assert "train: already done" in command(tmp_path / "still", *still, f"train.weights={moved}").stdout
    refused = command(tmp_path / "still", *still, f"train.weights={other}")
    assert refused.returncode == 2 and "made with other input train.weights" in refused.stderr
    missing = command(tmp_path / "still", *still, f"train.weights={tmp_path / 'none'}")
    assert missing.returncode == 2 and f"train.weights={tmp_path / 'none'}: no such file" in missing.stderr


@pytest.mark.slow
def test_the_fp32_net_teaches_its_own_quantized_training(finished: Path, tmp_path: Path) -> None:
    net = f"net={finished / 'net.json'}"
    done = command(tmp_path / "fp32", "train", net, "train.epochs=0")
    assert done.returncode == 0, done.stderr
    words = [net, f"train.weights={tmp_path / 'fp32' / 'weights.safetensors'}", "train.float_epochs=0"]
    student = command(tmp_path / "qat", "train", *words, f"train.distill.teacher={tmp_path / 'fp32'}")
    assert student.returncode == 0, student.stderr
    alone = command(tmp_path / "alone", "train", *words)
    assert alone.returncode == 0, alone.stderr
    weights = [(tmp_path / run / "weights.safetensors").read_bytes() for run in ("qat", "alone")]
    assert weights[0] != weights[1]


def test_what_a_teacher_holds_counts_and_not_where_it_lies(finished: Path, tmp_path: Path) -> None:
    moved, student = tmp_path / "moved", tmp_path / "student"
    shutil.copytree(finished, moved)
    net = f"net={finished / 'net.json'}"
    done = command(student, "train", net, f"train.distill.teacher={finished}")
    assert done.returncode == 0, done.stderr
    assert "train: already done" in command(student, "train", net, f"train.distill.teacher={moved}").stdout
    for other in ("train.distill.teacher=null", f"train.distill.teacher={student}"):
        refused = command(student, "train", net, other)
        assert refused.returncode == 2 and "made with other input train.distill.teacher" in refused.stderr
    missing = command(tmp_path / "other", "train", net, f"train.distill.teacher={tmp_path}")
    assert missing.returncode == 2 and f"{tmp_path / 'train.json'}: no such file" in missing.stderr


@pytest.mark.slow
def test_a_torchvision_model_teaches_by_a_file_of_its_weights(finished: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for name, classes in (("ten", 10), ("many", 1000)):
        torch.save(torchvision.models.resnet18(num_classes=classes).state_dict(), tmp_path / f"{name}.pth")
    words = [f"net={finished / 'net.json'}", "train.distill.teacher=torchvision:resnet18"]
    done = command(tmp_path / "student", "train", *words, f"train.distill.weights={tmp_path / 'ten.pth'}")
    assert done.returncode == 0, done.stderr
    refused = command(tmp_path / "other", "train", *words, f"train.distill.weights={tmp_path / 'many.pth'}")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].endswith("many.pth: knows 1000 classes; the data have 10")


def test_a_file_that_does_not_do_what_was_trained_fails_the_export(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)

    def broken(net: Net, metadata: dict[str, str], *, quantized: bool) -> onnx.ModelProto:
        model = emit_net(net, metadata, quantized=quantized)
        if quantized:
            weight = next(one for one in model.graph.initializer if one.name == "stem.weight")
            weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name))
        return model

    monkeypatch.setattr("frostnas.deploy.export.emit_net", broken)
    config = compose_config([*TINY, f"run_dir={copy}"])
    with Workspace.open(copy, quiet=True) as workspace, pytest.raises(ParityError) as caught:
        STAGES["export"].run(Session(config, workspace), force=True)
    table = str(caught.value).splitlines()
    assert "agrees with fake-quant" in table[0] and "(1 of " in table[2] and "stem " in table[3]


def test_layers_are_compared_on_the_images_that_come_out_otherwise(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, seen, apart = shutil.copytree(finished, tmp_path / "copy"), [], [3, 40]

    def otherwise(model: OnnxClassifier, test: Images) -> NDArray[np.int64]:
        named = named_by_file(model, test)
        named[apart] = (named[apart] + 1) % 10
        return named

    def looked_at(net: Net, path: Path, images: torch.Tensor) -> list[LayerDifference]:
        seen.append(images)
        return layer_differences(net, path, images)

    monkeypatch.setattr("frostnas.deploy.parity.named_by_file", otherwise)
    monkeypatch.setattr("frostnas.deploy.export.layer_differences", looked_at)
    config = compose_config([*TINY, f"run_dir={copy}", "export.min_agreement=1"])
    with Workspace.open(copy, quiet=True) as workspace, pytest.raises(ParityError, match="on 2 of the others"):
        STAGES["export"].run(session := Session(config, workspace), force=True)
    wanted, _ = next(session.data.test.subset(torch.tensor(apart)).batches(2))
    assert torch.equal(seen[0], wanted)


@pytest.mark.skipif(find_spec("openvino") is None, reason="not installed: pip install 'frostnas[openvino]'")
def test_every_format_is_run_back_and_stored(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    done = command(copy, "export", "export.formats=[onnx,openvino]", "--force")
    assert done.returncode == 0, done.stderr
    report = frostnas.load(copy / "export.json", frostnas.ExportReport).value
    (row,) = report.formats
    assert (row.format, row.path) == ("openvino", "model.int8.xml") and row.runtime.startswith("openvino 20")
    assert row.size_bytes == sum((copy / f"model.int8.{kind}").stat().st_size for kind in ("xml", "bin"))
    assert row.agreement >= 0.98 and abs(row.top1 - report.int8.top1) <= 0.01
    assert 0 < row.latency_ms_p50 <= row.latency_ms_p90
    assert "openvino" in done.stdout and "agreement" in done.stdout


@pytest.mark.skipif(find_spec("executorch") is not None, reason="ExecuTorch is installed")
@pytest.mark.parametrize("name", ["export", "run"])
def test_a_format_that_is_not_installed_is_an_input_error(finished: Path, name: str) -> None:
    done = command(finished, name, "export.formats=[onnx,executorch]", "--force")
    assert done.returncode == 2
    assert "export.formats=executorch: is not installed; `pip install 'frostnas[executorch]'`" in done.stderr


def test_an_edited_artifact_stops_the_stages_that_read_it(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    with (copy / "latency.csv").open("a") as file:
        file.write("\n")
    (copy / "net.json").unlink()
    done = command(copy, "search-net")
    assert done.returncode == 2
    assert "latency.csv: is not the file that its latency.json was written with" in done.stderr
    assert not (copy / "net.json").exists()


def test_a_run_directory_in_use_is_refused(finished: Path) -> None:
    with Workspace.open(finished, quiet=True):
        done = command(finished, "run")
    assert done.returncode == 2
    assert "another process" in done.stderr


def test_quiet_prints_only_the_result(finished: Path) -> None:
    done = command(finished, "export", "--quiet")
    assert done.returncode == 0
    assert "already done" not in done.stdout and done.stderr == ""


def test_multirun_gives_every_job_a_run_directory(finished: Path, tmp_path: Path) -> None:
    done = command(tmp_path / "sweep", "train", "-m", "--quiet", f"net={finished / 'net.json'}", "seed=0,1")
    assert done.returncode == 0, done.stderr
    results = [frostnas.load(tmp_path / "sweep" / "sweep" / job / "train.json", frostnas.TrainResult) for job in "01"]
    assert [result.value.seed for result in results] == [0, 1]


@pytest.mark.parametrize(("word", "named"), [("seed=0,-1", "seed=-1: expected 0"), ("sede=0,1", "did you mean seed")])
def test_a_sweep_over_wrong_values_starts_no_job(tmp_path: Path, word: str, named: str) -> None:
    done = command(tmp_path / "sweep", "train", "-m", word)
    assert done.returncode == 2
    assert named in done.stderr
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("slot", "value"), [("spatial", "depthwise_99"), ("spatial", "warp"), ("reuse", "squeeze_x"), ("expand", 0.5)]
)
def test_a_block_that_does_not_fit_the_space_is_named(
    finished: Path, tmp_path: Path, slot: str, value: str | float
) -> None:
    path = tmp_path / "block.json"
    shutil.copy(finished / "block.json", path)
    resealed(path, lambda data: data["block"].update({slot: value}))
    session = _session(tmp_path / "other", path)
    with pytest.raises(frostnas.InputError) as caught:
        _ = session.block
    for part in (str(path), slot, str(value), "expected"):
        assert part in str(caught.value)


def _session(run_dir: Path, block: Path) -> Session:
    config = compose_config([*TINY, f"run_dir={run_dir}", f"block={block}"])
    with Workspace.open(run_dir, quiet=True) as workspace:
        return Session(config, workspace)
