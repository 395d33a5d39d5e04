"""docs/deployment.md: its script runs without frostnas, and what it writes shows an integer network."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import onnx
import torch

from frostnas.artifacts import ImageFormat
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.deploy.runtime import metadata_of
from frostnas.nets import create_model
from tests.emitted import as_if_trained
from tests.pages import Block, blocks, run, save_files

PAGE = "deployment.md"


def test_the_script_times_an_exported_file_and_shows_integer_operations(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = create_model("frostnet_small_0_35", 3, image_size=64)
    as_if_trained(net, (4, 3, 64, 64))
    images = ImageFormat(("cat", "dog", "owl"), 64, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    onnx.save(emit_net(net, metadata_of(images, "", ""), quantized=True), tmp_path / "model.int8.onnx")
    save_files(PAGE, tmp_path)
    (script,) = (block for block in blocks(PAGE) if block.language == "python")
    assert "import frostnas" not in script.text
    printed = run(Block("sh", "", f"python {script.name}"), tmp_path, timeout=60)
    assert re.fullmatch(r"3 classes, \d+\.\d{3} ms on CPU \[\d+\]\n", printed)
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QLinearConv"] > 40
    assert kinds["QLinearAdd"] > 5
    assert not {"Conv", "Add", "FusedConv"} & kinds.keys()
