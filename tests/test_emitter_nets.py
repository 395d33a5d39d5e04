"""Whole networks as ONNX files: one integer graph, any batch, readable by the runtimes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from frostnas import LayerSpec, Net, create_model
from frostnas.artifacts import BlockSpec, HeadSpec, NetSpec, StemSpec
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.deploy.onnx.graph import OPSET
from frostnas.deploy.onnx.integers import float_operations, optimized_graph
from frostnas.quant import Concat, ConvBN, QuantState, set_state
from tests.emitted import as_if_trained, run_file

SIZE = 32
NAMES = ["frostnet_small_0_35", "mobilenet_v2_1_0", "mobilenet_v3_small_1_0", "ghostnet_1_0"]


def tiny() -> Net:
    layers = (
        LayerSpec(BlockSpec(reuse="none", expand=1), 16, 1),
        LayerSpec(BlockSpec(expand=3), 24, 2),
        LayerSpec(BlockSpec(expand=3, reuse="squeeze_2", gate="squeeze_excite", activation="hard_swish"), 24, 1),
    )
    return Net(NetSpec("tiny", SIZE, StemSpec(16), layers, HeadSpec(64, classes=5, hidden=32)))


def emitted(net: Net, path: Path, *, quantized: bool = True) -> onnx.ModelProto:
    torch.manual_seed(0)
    as_if_trained(net, (4, 3, SIZE, SIZE))
    model = emit_net(net, {"made": "here"}, quantized=quantized)
    onnx.save(model, str(path))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_a_named_network_runs_in_integers_from_end_to_end(name: str, tmp_path: Path) -> None:
    path, net = tmp_path / "net.onnx", create_model(name, 10, image_size=SIZE)
    emitted(net, path)
    kinds = Counter(node.op_type for node in optimized_graph(path).graph.node)
    assert float_operations(path) == []
    assert kinds["QLinearConv"] == sum(isinstance(module, ConvBN) for module in net.modules())
    assert kinds["QLinearConcat"] == sum(isinstance(module, Concat) for module in net.modules())
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] == 1
    assert kinds["Transpose"] == 2  # into the runtime's layout and back; none between the blocks


def test_the_file_computes_the_fake_quantized_network_for_any_batch(tmp_path: Path) -> None:
    path, net = tmp_path / "net.onnx", tiny()
    emitted(net, path)
    step = net.head[-1].quantizer.scale.item()
    for batch in (1, 2, 7):
        images = torch.randn(batch, 3, SIZE, SIZE)
        with torch.no_grad():
            wanted = net(images).numpy()
        assert np.abs(run_file(path, images) - wanted).max() <= 1.01 * step


def test_the_float_file_computes_the_float_network(tmp_path: Path) -> None:
    path, net = tmp_path / "net.onnx", tiny()
    emitted(net, path, quantized=False)
    images = torch.randn(3, 3, SIZE, SIZE)
    set_state(net, QuantState.FLOAT)
    with torch.no_grad():
        np.testing.assert_allclose(run_file(path, images), net(images).numpy(), rtol=1e-4, atol=1e-4)


def test_the_file_is_valid_and_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    model = emitted(tiny(), path)
    onnx.checker.check_model(str(path), full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"made": "here"}
    assert [opset.version for opset in model.opset_import] == [OPSET]
    (image,), (logits,) = model.graph.input, model.graph.output
    assert [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim] == ["batch", 3, SIZE, SIZE]
    assert [d.dim_param or d.dim_value for d in logits.type.tensor_type.shape.dim] == ["batch", 5]


def test_weights_are_int8_biases_int32_and_activation_grids_scalars(tmp_path: Path) -> None:
    model = emitted(tiny(), tmp_path / "net.onnx")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert all(value.dtype == np.int8 for name, value in stored.items() if name.endswith(".weight"))
    assert all(value.dtype == np.int32 for name, value in stored.items() if name.endswith(".bias"))
    grids = [node.input[1:] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert grids
    for scale, zero_point in grids:
        assert stored[scale].shape == stored[zero_point].shape == ()
        assert stored[zero_point].dtype == np.uint8


def test_the_check_for_float_operations_sees_them(tmp_path: Path) -> None:
    """A scale of rank 1 makes the runtime leave Add in float, which no error tells."""
    path = tmp_path / "net.onnx"
    model = emitted(tiny(), path)
    for stored in model.graph.initializer:
        if not stored.dims:
            stored.dims.append(1)
    onnx.save(model, str(path))
    assert any(name.startswith("Add ") for name in float_operations(path))


def test_only_the_image_is_padded_to_four_channels(tmp_path: Path) -> None:
    """Integer kernels take products in fours; a stem on 3 channels takes twice as long as one on 4."""
    model = emitted(tiny(), tmp_path / "net.onnx")
    stored = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    assert [node.input[0] for node in model.graph.node if node.op_type == "Pad"] == ["input.q"]
    assert stored["stem.weight"] == [16, 4, 3, 3]


def test_every_node_of_the_file_is_read(tmp_path: Path) -> None:
    graph = emitted(tiny(), tmp_path / "net.onnx").graph
    read = {name for node in graph.node for name in node.input} | {"logits"}
    assert all(read.intersection(node.output) for node in graph.node)
    assert {stored.name for stored in graph.initializer} <= read


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    net = tiny()
    first = emitted(net, tmp_path / "net.onnx").SerializeToString()
    assert emit_net(net, {"made": "here"}, quantized=True).SerializeToString() == first


@pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])])
def test_openvino_loads_the_same_file_and_agrees(name: str, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    torch.manual_seed(0)
    path = tmp_path / "net.onnx"
    emitted(create_model(name, 10, image_size=SIZE), path)
    images = torch.randn(8, 3, SIZE, SIZE)
    wanted = run_file(path, images)
    core = openvino.Core()
    given = core.compile_model(core.read_model(path), "CPU")(images.numpy())[0]
    assert np.abs(given - wanted).mean() < 0.1 * wanted.std()  # it rounds ties and averages in its own way
