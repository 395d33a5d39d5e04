"""What the export sees of a network: which layer loses most by its grid, and which test images come out wrong."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from frostnas.artifacts import BlockSpec, HeadSpec, ImageFormat, LayerSpec, NetSpec, StemSpec
from frostnas.config import AugmentConfig
from frostnas.data.memory import MemoryImages
from frostnas.deploy.inspection import inspect, layer_health
from frostnas.deploy.parity import Reference
from frostnas.nets import Net
from frostnas.quant import ActivationQuantizer, QuantState, Scheme, set_state

NET = NetSpec("n", 16, StemSpec(8, 1), (LayerSpec(BlockSpec(), 16, 2),), HeadSpec(32, classes=3))
IMAGES = ImageFormat(("red", "green", "blue"), 16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
LABELS = np.arange(30) % 3
NAMED = np.where(np.isin(np.arange(30), (4, 9)), (LABELS + 1) % 3, LABELS)  # two mistakes: green 4, red 9

REFERENCE = Reference(LABELS, np.eye(3, dtype=np.float32)[LABELS], 1.0)


class File:
    """Names the classes of `NAMED` by the brightness of an image's pixels, which is its position."""

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        position = np.round((images.mean((1, 2, 3)) * 0.25 + 0.5) * 255).astype(int)
        return (np.eye(3)[NAMED[position]] * np.where(position == 9, 5, 1 + position / 30)[:, None]).astype(np.float32)


@pytest.fixture
def test_images() -> MemoryImages:
    pixels = torch.arange(30, dtype=torch.uint8).view(30, 1, 1, 1).expand(30, 3, 16, 16).contiguous()
    return MemoryImages(pixels, torch.from_numpy(LABELS), IMAGES, AugmentConfig())


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    made = Net(NET, Scheme(weight_bits=7)).train()
    set_state(made, QuantState.OBSERVE)
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(16, 3, 16, 16))
    set_state(made, QuantState.FROZEN)
    return made.eval()


def test_every_quantizer_has_its_figures_in_the_order_of_data_flow(net: Net) -> None:
    found = list(layer_health(net, torch.randn(4, 3, 16, 16)))
    wanted = [
        name.removesuffix(".quantizer") for name, one in net.named_modules() if isinstance(one, ActivationQuantizer)
    ]
    assert sorted(one.layer for one in found) == sorted(wanted)
    assert found[0].layer == "input"
    assert all(one.low <= one.high and 5 < one.snr_db <= 100 for one in found)


def test_a_narrow_range_shows_as_saturation_and_noise_from_that_layer_on(net: Net) -> None:
    pixels = torch.randn(4, 3, 16, 16)
    sound = {one.layer: one for one in layer_health(net, pixels)}
    stem = net.get_submodule("stem.quantizer")
    assert isinstance(stem, ActivationQuantizer)
    stem.scale.div_(8)
    narrow = {one.layer: one for one in layer_health(net, pixels)}
    assert narrow["input"] == sound["input"]
    assert narrow["stem"].saturated > 0.2 > sound["stem"].saturated
    assert narrow["stem"].snr_db < sound["stem"].snr_db - 10


def test_looking_leaves_the_network_as_it_was(net: Net) -> None:
    image = torch.randn(2, 3, 16, 16)
    before = net(image)
    list(layer_health(net, image))
    assert torch.equal(net(image), before)


def test_mistakes_come_first_the_surest_in_front_and_all_images_are_counted(
    net: Net, test_images: MemoryImages
) -> None:
    found = inspect(net, File(), NAMED, test_images, REFERENCE, IMAGES)
    assert [one.position for one in found.shown[:2]] == [9, 4]
    assert (found.shown[0].true, found.shown[0].named) == (0, 1)
    assert [one.position for one in found.shown[2:5]] == [0, 1, 2]  # right, the least sure first
    assert len(found.shown) == 12
    assert sum(one.images for one in found.confusion) == 30
    assert {(one.true, one.named) for one in found.confusion if one.true != one.named} == {(1, 2), (0, 1)}


def test_the_pictures_are_those_that_the_network_saw(net: Net, test_images: MemoryImages) -> None:
    shown = inspect(net, File(), NAMED, test_images, REFERENCE, IMAGES).shown[0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.png))))
    assert picture.shape == (16, 16, 3)
    assert (picture == 9).all()
