"""An exported file in a program of one's own, without torch: `load_int8` makes a callable with its classes and
preprocessing of it, `evaluate` scores it on labelled images."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import frostnas
from frostnas.artifacts import ImageFormat
from frostnas.deploy.runtime import metadata_of, sealed
from frostnas.errors import InputError

IMAGES = ImageFormat(("dark", "light"), 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run whose network names the sign of the mean pixel; with a white and a black picture beside it."""
    weights = numpy_helper.from_array(np.repeat(np.array([[-1.0, 1.0]], np.float32), 3, axis=0), "weights")
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata_of(IMAGES, "0" * 64, "1.0"))
    (tmp_path / "model.int8.onnx").write_bytes(sealed(model.SerializeToString()))
    for name, value in (("white", 255), ("black", 0)):
        Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_files_and_pixels_become_logits_of_named_classes(run_dir: Path) -> None:
    model = frostnas.load_int8(run_dir)
    images = model.preprocess(run_dir / "white.png", str(run_dir / "black.png"), np.zeros((5, 9, 3), np.uint8))
    assert (images.dtype, images.shape) == (np.float32, (3, 3, 8, 8))
    assert [model.classes[one] for one in model(images).argmax(1)] == ["light", "dark", "dark"]


def test_the_preprocessing_is_that_of_the_file(run_dir: Path) -> None:
    model = frostnas.load_int8(run_dir / "model.int8.onnx")
    assert model.images == IMAGES
    assert np.allclose(model.preprocess(run_dir / "white.png"), 1.0)
    assert np.allclose(model.preprocess(run_dir / "black.png"), -1.0)


def test_it_needs_no_torch(run_dir: Path) -> None:
    code = f"""
import sys, frostnas
model = frostnas.load_int8({str(run_dir)!r})
assert model(model.preprocess({str(run_dir / "white.png")!r})).shape == (1, 2)
assert not {{"torch", "hydra", "pandas"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_scored_on_labelled_images_without_torch(run_dir: Path) -> None:
    for label, picture in (("dark", "black"), ("light", "white"), ("light", "black")):
        folder = run_dir / "photos" / "val" / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{picture}.png").write_bytes((run_dir / f"{picture}.png").read_bytes())
    shutil.copytree(run_dir / "photos" / "val", run_dir / "photos" / "train")
    code = f"""
import sys, frostnas
config = frostnas.compose_config(["data=imagefolder", "data.root={run_dir / "photos"}", "latency.rounds=2"])
found = frostnas.evaluate(config, {str(run_dir / "model.int8.onnx")!r})
assert (found.images, found.top1, found.confusion) == (3, 2 / 3, ((1, 0), (1, 1)))
(wrong,) = found.mistakes
assert wrong.path.endswith("light/black.png") and (wrong.true, wrong.named) == ("light", "dark")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_not_there_is_refused_in_one_line(run_dir: Path) -> None:
    with pytest.raises(InputError, match="no such file; expected an exported"):
        frostnas.load_int8(run_dir / "other.onnx")
    with pytest.raises(InputError, match="no such file; expected an image"):
        frostnas.load_int8(run_dir).preprocess("nothing.png")
