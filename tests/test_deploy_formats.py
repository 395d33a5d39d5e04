"""The formats beside ONNX: what their runtimes make of a network, and what is said where they are missing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.deploy.formats.base import Exported, ParityError
from frostnas.deploy.formats.registry import check_installed, writer
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.errors import InputError
from frostnas.extras import PACKAGES
from frostnas.nets import Net
from frostnas.quant import Scheme
from tests.emitted import as_if_trained

METADATA = {"classes": '["a", "b"]', "image_size": "16"}
BLOCKS = {
    "concat": BlockSpec(),
    "add": BlockSpec(expand=1),
    "hard_swish": BlockSpec(reuse="none", activation="hard_swish"),
    "relu6": BlockSpec(activation="relu6"),
    "squeeze_excite": BlockSpec(gate="squeeze_excite"),
    "max_pool": BlockSpec(reuse="none", spatial="max_pool_3"),
}
STEPS = {"openvino": 2, "executorch": 0, "tflite": 0}
"""How far logits of one block may be from fake-quant, in steps of their grid."""


def missing(name: str) -> pytest.MarkDecorator:
    package = PACKAGES.get(name, name)
    return pytest.mark.skipif(find_spec(package) is None, reason=f"not installed: pip install 'frostnas[{name}]'")


INSTALLED = [pytest.param(name, marks=missing(name)) for name in STEPS]


def trained(block: BlockSpec, channels: int = 32, scheme: Scheme | None = None) -> Net:
    torch.manual_seed(0)
    net = Net(
        NetSpec("n", 16, StemSpec(channels, 1), (LayerSpec(block, channels, 1),), HeadSpec(32, classes=10)),
        scheme or Scheme(weight_bits=7),  # with 8 bits runtimes saturate on CPUs without VNNI
    )
    as_if_trained(net, (8, 3, 16, 16))
    return net.to(memory_format=torch.channels_last)  # as a trained network is loaded


def exported(name: str, net: Net, folder: Path) -> Exported:
    path = folder / "model.int8.onnx"
    onnx.save(emit_net(net, METADATA, quantized=True), path)
    return writer(name)(net, path, METADATA, 1)


@torch.no_grad()
def steps_apart(net: Net, made: Exported) -> float:
    """Greatest difference from fake-quant on 20 images, in steps of the logits' grid."""
    images = torch.randn(20, 3, 16, 16)
    expected = net(images).numpy()
    *_, last = net.head
    return float(np.abs(made.model.logits(images.numpy()) - expected).max() / last.quantizer.scale.item())


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("name", INSTALLED)
def test_every_kind_of_block_gives_the_logits_of_fake_quant(name: str, block: str, tmp_path: Path) -> None:
    net = trained(BLOCKS[block])
    made = exported(name, net, tmp_path)
    assert made.runtime.startswith(f"{name} ")
    assert made.path.parent == tmp_path and all(file.stat().st_size > 1000 for file in made.files)
    assert steps_apart(net, made) <= STEPS[name] + 0.01


@pytest.mark.parametrize("name", INSTALLED)
def test_seven_bit_weights_do_too(name: str, tmp_path: Path) -> None:
    net = trained(BLOCKS["concat"], scheme=Scheme(weight_bits=7))
    assert steps_apart(net, exported(name, net, tmp_path)) <= STEPS[name] + 0.01


@pytest.mark.parametrize("name", [one for one in INSTALLED if one.values[0] != "openvino"])
def test_int8_activations_do_too_on_phones(name: str, tmp_path: Path) -> None:
    net = trained(BLOCKS["hard_swish"], scheme=Scheme(signed_activations=True))
    assert steps_apart(net, exported(name, net, tmp_path)) <= 0.01


@missing("openvino")
def test_a_float_file_is_not_taken_for_an_integer_one(tmp_path: Path) -> None:
    net, path = trained(BLOCKS["concat"]), tmp_path / "model.int8.onnx"
    onnx.save(emit_net(net, METADATA, quantized=False), path)
    with pytest.raises(ParityError, match="OpenVINO runs 7 layers in floating point: Convolution"):
        writer("openvino")(net, path, METADATA, 1)


@missing("openvino")
def test_the_ir_carries_the_metadata(tmp_path: Path) -> None:
    import openvino

    made = exported("openvino", trained(BLOCKS["add"]), tmp_path)
    assert openvino.Core().read_model(made.path).get_rt_info(["frostnas", "classes"]).value == METADATA["classes"]


@missing("executorch")
def test_the_pte_carries_the_metadata(tmp_path: Path) -> None:
    from executorch.runtime import Runtime

    made = exported("executorch", trained(BLOCKS["add"]), tmp_path)
    program = Runtime.get().load_program(made.path)
    assert program.load_method("get_classes").execute([]) == [METADATA["classes"]]


@missing("tflite")
def test_the_tflite_is_of_integers_throughout_and_carries_the_metadata(tmp_path: Path) -> None:
    from ai_edge_litert.tools import flatbuffer_utils

    made = exported("tflite", trained(BLOCKS["squeeze_excite"]), tmp_path)
    model = flatbuffer_utils.read_model(str(made.path))
    entries = {entry.name: bytes(model.buffers[entry.buffer].data) for entry in model.metadata}
    assert json.loads(entries[b"frostnas"]) == METADATA
    (graph,) = model.subgraphs
    kinds = {flatbuffer_utils.type_to_name(tensor.type) for tensor in graph.tensors}
    assert kinds == {"INT8", "INT32"}


def test_a_format_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frostnas.extras.find_spec", lambda name: None)
    check_installed(["onnx"])
    for name in STEPS:
        with pytest.raises(InputError, match=rf"export\.formats={name}: .*pip install 'frostnas\[{name}\]'"):
            check_installed(["onnx", name])
