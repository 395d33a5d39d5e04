"""The networks that FrostNet is compared with are the ones that others publish."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from frostnas import InputError, LayerSpec
from frostnas.artifacts import BlockSpec
from frostnas.nets import build_block, count, zoo_spec
from frostnas.quant import QTensor, Scheme

TORCHVISION = {
    "mobilenet_v2_1_0": models.mobilenet_v2,
    "mobilenet_v3_large_1_0": models.mobilenet_v3_large,
    "mobilenet_v3_small_1_0": models.mobilenet_v3_small,
}
# As in timm's models of the same names; the papers round them to 4.7 M and 5.2 M.
PUBLISHED = {
    "mobilenet_v2_0_5": (1_968_680, 97_131_840),
    "mobilenet_v2_1_4": (6_108_776, 582_195_824),
    "efficientnet_lite0": (4_652_008, 385_187_552),
    "efficientnet_lite1": (5_416_680, 502_467_680),
    "efficientnet_lite2": (6_092_072, 576_509_424),
    "efficientnet_lite3": (8_197_096, 852_099_536),
    "efficientnet_lite4": (13_006_568, 1_347_665_152),
    "ghostnet_1_0": (5_182_508, 141_150_512),
}


def multiply_adds(model: nn.Module, size: int) -> int:
    """Of a plain torch model on the meta device."""
    total = 0

    def add(layer: nn.Module, inputs: object, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(add)
    model.eval()(torch.empty(1, 3, size, size, device="meta"))
    return total


@pytest.mark.parametrize("name", TORCHVISION)
def test_mobilenets_count_what_torchvision_counts(name: str) -> None:
    with torch.device("meta"):
        theirs = TORCHVISION[name]()
    counts = count(zoo_spec(name))
    assert counts.parameters == sum(parameter.numel() for parameter in theirs.parameters())
    assert counts.macs == multiply_adds(theirs, 224)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_others_count_what_is_published(name: str) -> None:
    counts = count(zoo_spec(name))
    assert (counts.parameters, counts.macs) == PUBLISHED[name]


def test_a_ghost_shortcut_fits_where_the_shapes_change() -> None:
    block = BlockSpec(kind="ghost", reuse="none", expand=3, gate="squeeze_excite")
    x = QTensor(torch.randn(2, 16, 8, 8), torch.tensor(1.0))
    assert build_block(16, LayerSpec(block, 24, 2), Scheme())(x).value.shape == (2, 24, 4, 4)
    assert build_block(16, LayerSpec(block, 16, 1), Scheme())(x).value.shape == (2, 16, 8, 8)


@pytest.mark.parametrize("slot", ["kind", "spatial", "activation", "gate"])
def test_an_unknown_choice_is_refused_by_slot_and_name(slot: str) -> None:
    with pytest.raises(InputError, match=f"{slot}: magic; expected one of"):
        build_block(16, LayerSpec(BlockSpec(**{slot: "magic"}), 16, 1), Scheme())
