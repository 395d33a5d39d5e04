"""Damaged and hostile files: a command gives one clear line or an equal result, soon, and within a gigabyte.

The quick selection reads a run made without training. `test_damage_to_a_real_run` has the long one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from frostnas.deploy.runtime import SEAL, UNSEALED, sealed
from tests.damage import ACCIDENTS, VALUES, leaves, put, resealed
from tests.forked import Commands, Done
from tests.made_run import make_run

ARTIFACTS = ["block.json", "latency.json", "net.json", "train.json", "export.json"]
FIGURES = ["metrics/train.csv", "pareto.csv"]
"""Without a digest in what a report reads: another number within the limits is drawn."""
MOST_MB = 1000
AT_TERMINAL = "limits on what is read, and one line for any error, are made at the command line"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("other") / "run", seed=1)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "one.png"
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)
    return path


EVALUATE = ["data.image_size=8", "latency.round_ms=0.1", "--json"]


@pytest.fixture(scope="module")
def whole(
    runner: Commands, made: Path, picture: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Any]:
    """What a command gives of the undamaged run."""

    @cache
    def of(command: str) -> Any:
        run = tmp_path_factory.mktemp(command) / "run"
        shutil.copytree(made, run)
        done = runner.run(command, str(run), *words_of(command, picture))
        assert done.status == 0, done.err
        return result(command, done, run)

    return of


def words_of(command: str, picture: Path) -> list[str]:
    return {"report": [], "predict": [str(picture)], "evaluate": EVALUATE}[command]


def result(command: str, done: Done, run: Path) -> Any:
    """What must be equal: the report's page, or what was printed without times."""
    if command == "report":
        return (run / "report.html").read_text()
    if command == "evaluate":
        return {key: value for key, value in json.loads(done.out).items() if key in ("top1", "top5", "confusion")}
    return done.out


def check(done: Done, equal: Callable[[], bool]) -> None:
    """One clear line or an equal result, soon, and within a gigabyte."""
    assert done.status is not None, "it hung"
    assert done.peak_mb < MOST_MB, f"{done.peak_mb:.0f} MB"
    assert "Traceback" not in done.err, done.err[-2000:]
    if done.status == 0:
        assert equal(), "another result, without a word"
    else:
        assert done.complaint, f"status {done.status}: {done.err[-2000:]}"


def cases(quick: dict[str, set[str]]) -> list[Any]:
    """Every accident to every file; all but the ``quick`` ones are slow, and huge files wait for the command line."""
    found = []
    for command, names in (
        ("report", [*ARTIFACTS, "latency.csv", *FIGURES]),
        ("predict", ["model.int8.onnx"]),
        ("evaluate", ["model.int8.onnx"]),
    ):
        for name in names:
            for accident in ACCIDENTS:
                slow = accident not in quick.get(f"{command} {name}", set())
                found.append(pytest.param(command, name, accident, marks=[pytest.mark.slow] if slow else []))
    return found


QUICK = {
    "report block.json": {"empty", "one-bit-1"},
    "report latency.json": {"cut-to-half", "deep"},
    "report latency.csv": {"one-bit-1", "huge"},
    "report net.json": {"of-another-run", "folder"},
    "report train.json": {"many-bits", "huge"},
    "report export.json": {"garbage", "one-bit-2"},
    "report metrics/train.csv": {"garbage", "huge"},
    "report pareto.csv": {"hole"},
    "predict model.int8.onnx": {"one-bit-1", "cut-to-half", "empty", "huge"},
}


@pytest.mark.parametrize(("command", "name", "accident"), cases(QUICK))
def test_damage_is_named_or_without_effect(
    runner: Commands,
    made: Path,
    other: Path,
    picture: Path,
    whole: Callable[[str], Any],
    tmp_path: Path,
    command: str,
    name: str,
    accident: str,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    ACCIDENTS[accident](run / name, other / name)
    done = runner.run(command, str(run), *words_of(command, picture))
    if accident == "of-another-run" and done.status == 0:
        return  # a whole file of another run, which nothing says is not this one's
    check(done, lambda: name in FIGURES or bool(result(command, done, run) == whole(command)))


def hostile_artifacts(made: Path, name: str) -> list[tuple[tuple[str | int, ...], Any]]:
    """Every value takes the place of one leaf or another, in turn, and every leaf gets some."""
    content = json.loads((made / name).read_bytes())["data"]
    places = list(leaves(content))
    return [(place, VALUES[(3 * at + more) % len(VALUES)]) for at, place in enumerate(places) for more in range(3)]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        pytest.param(name, part, marks=[] if (name, part) == ("net.json", 0) else [pytest.mark.slow])
        for name in ARTIFACTS
        for part in range(24)
    ],
)
def test_a_value_that_cannot_be_is_named_by_its_place(
    runner: Commands, made: Path, tmp_path: Path, name: str, part: int
) -> None:
    """With a digest that fits: limits alone keep it out. What is within them is shown like any other."""
    for place, value in hostile_artifacts(made, name)[part::24]:
        run = tmp_path / "run"
        shutil.copytree(made, run)
        resealed(run / name, lambda data, place=place, value=value: put(data, place, value))  # type: ignore[misc]
        done = runner.run("report", str(run))
        check(done, lambda: True)
        if done.status:
            assert str(run / name) in done.complaint, (place, value, done.err)
        shutil.rmtree(run)


def graph_of(tensor: int) -> bytes:
    """A file with fitting metadata that makes a tensor of ``tensor`` elements on its way to the logits."""
    said = {"classes": json.dumps(list("0123456789")), "image_size": "8", "mean": "[0,0,0]", "std": "[1,1,1]"}
    said |= {"background": "[127,127,127]", "levels": "null"}
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Slice", ["flat", "zero", "ten", "one"], ["few"]),
        helper.make_node("Add", ["few", "sum"], ["logits"]),
    ]
    numbers = {"shape": tensor, "zero": 0, "ten": 10, "one": 1}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, said | {SEAL: UNSEALED})
    return sealed(model.SerializeToString())


@pytest.mark.parametrize("tensor", [2**28, 2**62])
def test_a_file_with_a_tensor_that_is_too_large_is_refused(
    runner: Commands, picture: Path, tmp_path: Path, tensor: int
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(graph_of(tensor))
    done = runner.run("predict", str(path), str(picture))
    assert done.status == 2 and done.peak_mb < MOST_MB
    assert str(path) in done.complaint
