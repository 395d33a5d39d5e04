"""A file that falls short of the network in torch fails the export, which says in which layer the difference begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.deploy.onnx.difference import LayerDifference, as_text, layer_differences
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.nets import Net
from frostnas.quant import QuantState, Scheme, set_state

NET = NetSpec(
    "n",
    16,
    StemSpec(16, 1),
    (LayerSpec(BlockSpec(), 32, 2), LayerSpec(BlockSpec(activation="hard_swish", gate="squeeze_excite"), 32, 1)),
    HeadSpec(64, classes=10),
)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    made = Net(NET, Scheme(weight_bits=7))  # with 8 bits the runtime saturates on CPUs without VNNI
    set_state(made, QuantState.OBSERVE)
    made.train()
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(16, 3, 16, 16))
    set_state(made, QuantState.FROZEN)
    return made.eval()


def test_a_sound_file_differs_nowhere_by_more_than_a_rounding_tie(net: Net, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(emit_net(net, {}, quantized=True).SerializeToString())
    found = layer_differences(net, path, torch.randn(8, 3, 16, 16))
    assert len(found) > 12
    assert max(one.share for one in found) < 0.01


def test_a_broken_layer_is_the_first_that_differs(net: Net, tmp_path: Path) -> None:
    model = emit_net(net, {}, quantized=True)
    broken = next(one for one in model.graph.initializer if one.name == "layers.0.expand.weight.scale")
    broken.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(broken) * 1.5).astype(np.float32), broken.name))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    found = layer_differences(net, path, torch.randn(8, 3, 16, 16))
    first = next(one for one in found if one.share > 0.05)
    assert first.layer == "layers.0.expand"
    assert first.steps > 5
    assert "layers.0.expand" in as_text(found)


def test_a_rounding_tie_far_before_the_broken_layer_does_not_hide_it() -> None:
    shares = {3: 0.000001, 40: 0.9, 41: 0.8}
    text = as_text([LayerDifference(f"layers.{at}", shares.get(at, 0.0), 1.0) for at in range(50)])
    assert "layers.40 " in text and "layers.2 " not in text
    assert "3 of 50 layers" in text
