"""EfficientNet-Lite0 with its ImageNet weights, exported: integers throughout, padded as TensorFlow pads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from frostnas import Net, create_model
from frostnas.deploy.formats.decomposed import Decomposed
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.deploy.onnx.integers import float_operations, optimized_graph
from frostnas.quant import ConvBN, Scheme
from tests.emitted import observe, run_file
from tests.test_nets_weights import real_lite0

SIZE = 64


def pictures(number: int) -> Tensor:
    """Smooth random images, which trained networks have opinions about: float32 (N, 3, SIZE, SIZE)."""
    coarse = torch.rand(number, 3, 8, 8, generator=torch.Generator().manual_seed(number))
    return (torch.nn.functional.interpolate(coarse, size=SIZE, mode="bicubic").clamp(0, 1) - 0.5) / 0.5


@pytest.fixture(scope="module")
def net() -> Net:
    """Seven-bit weights, which every x86 kernel adds up without saturation."""
    net = create_model("efficientnet_lite0", image_size=SIZE, scheme=Scheme(weight_bits=7), weights=str(real_lite0()))
    observe(net, pictures(64))
    return net


@pytest.fixture(scope="module")
def path(net: Net, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lite0") / "model.onnx"
    onnx.save(emit_net(net, {}, quantized=True), str(path))
    return path


def test_the_file_names_the_classes_of_fake_quant(net: Net, path: Path) -> None:
    images = pictures(48)
    with torch.no_grad():
        wanted = net(images).numpy()
    given, step = run_file(path, images), net.head[-1].quantizer.scale.item()
    assert (given.argmax(1) == wanted.argmax(1)).mean() >= 47 / 48
    assert np.abs(given - wanted).mean() < step


def test_it_runs_in_integers_without_a_pad_of_its_own(net: Net, path: Path) -> None:
    kinds = Counter(node.op_type for node in optimized_graph(path).graph.node)
    assert float_operations(path) == []
    assert kinds["QLinearConv"] == sum(isinstance(module, ConvBN) for module in net.modules())
    assert kinds["Pad"] == 1  # the image to four channels, as for every network
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] == 1


def test_convolutions_of_stride_2_pad_at_the_end(path: Path) -> None:
    nodes = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    about = [{one.name: onnx.helper.get_attribute_value(one) for one in node.attribute} for node in nodes]
    strided = [(one["kernel_shape"][0], one["pads"]) for one in about if one["strides"] == [2, 2]]
    assert strided == [(3, [0, 0, 1, 1]), (3, [0, 0, 1, 1]), (5, [1, 1, 2, 2]), (3, [0, 0, 1, 1]), (5, [1, 1, 2, 2])]


def test_the_qdq_form_gives_the_logits_of_fake_quant(net: Net) -> None:
    pytest.importorskip("torch.ao.quantization.fx._decomposed")  # registers its operators
    images = pictures(8)
    with torch.no_grad():
        wanted, given = net(images), Decomposed(net)(images)
    step = net.head[-1].quantizer.scale.item()
    assert float((given - wanted).abs().mean()) < step


def test_openvino_agrees(net: Net, path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    images = pictures(16)
    core = openvino.Core()
    given = core.compile_model(core.read_model(path), "CPU")(images.numpy())[0]
    with torch.no_grad():
        wanted = net(images).numpy()
    assert np.corrcoef(given.ravel(), wanted.ravel())[0, 1] > 0.99
