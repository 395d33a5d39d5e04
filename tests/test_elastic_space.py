"""A space cut out of a trained network: the largest network is the parent, every other one a part of it."""

from __future__ import annotations

import random

import pytest
import torch

from frostnas.artifacts import NetSpec
from frostnas.config import ParentConfig
from frostnas.errors import InputError
from frostnas.nets import Net, zoo_spec
from frostnas.quant import ConvBN, Scheme
from frostnas.search.net.inherit import inherit
from frostnas.search.net.ordering import sort_channels
from frostnas.search.net.supernet import Supernet
from frostnas.search.spaces.elastic import of_parent
from frostnas.search.spaces.network import NetworkSpace

SMALLER = ParentConfig(kernels=[3], expands=[1.0, 0.5])


def space_of(parent: NetSpec, config: ParentConfig = SMALLER, *sizes: int) -> NetworkSpace:
    return NetworkSpace(of_parent(parent, config, sizes or (parent.image_size,)))


def trained(spec: NetSpec) -> Net:
    """With random weights and, as training leaves them, statistics of batch norm that are not those of the start."""
    torch.manual_seed(0)
    net = Net(spec).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return net


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2_0_5", "mobilenet_v3_small_1_0", "ghostnet_1_0"])
def test_the_largest_network_is_the_parent(name: str) -> None:
    spec = zoo_spec(name, 10, 48)
    parent, supernet = trained(spec), Supernet(space_of(spec), Scheme()).eval()
    inherit(supernet, parent)
    largest = supernet.space.largest
    decoded = supernet.space.decode(largest)
    assert (decoded.stem, decoded.layers, decoded.head) == (spec.stem, spec.layers, spec.head)
    pixels = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        wanted, found = parent(pixels), supernet(pixels, largest)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v3_small_1_0", "frostnet_small_1_0"])
def test_sorted_channels_compute_what_they_did(name: str) -> None:
    net, pixels = trained(zoo_spec(name, 10, 48)), torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        wanted = net(pixels)
        assert sort_channels(net)
        found = net(pixels)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert sort_channels(net) and all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_the_first_channels_are_those_that_are_read_most() -> None:
    net = trained(zoo_spec("mobilenet_v2_0_5", 10, 32))
    sort_channels(net)
    for layer in net.layers[1:]:
        hidden = layer.project.conv.weight.abs().sum((0, 2, 3))
        assert torch.all(hidden.diff() <= 0)
    # The last stage is read by the head alone.
    assert torch.all(net.head[0].conv.weight.abs().sum((0, 2, 3)).diff() <= 0)
    readers = [layer.expand.conv.weight.abs().sum((0, 2, 3)) for layer in net.layers[2:4]]  # of the second stage's maps
    assert net.layers[2].add is not None and torch.all(sum(readers).diff() <= 1e-4)


def test_ghosts_keep_their_order() -> None:
    assert not sort_channels(trained(zoo_spec("ghostnet_1_0", 10, 32)))


@pytest.mark.parametrize("config", [SMALLER, ParentConfig(widths=[1.0, 0.5])])
@pytest.mark.parametrize("share_weights", [True, False])
def test_every_network_starts_from_its_part_of_the_parent(config: ParentConfig, share_weights: bool) -> None:
    spec = zoo_spec("frostnet_small_1_0", 10, 32)
    parent, supernet = trained(spec), Supernet(space_of(spec, config), Scheme(), share_weights=share_weights)
    inherit(supernet, parent)
    arch = supernet.space.draw(random.Random(1))
    net = supernet.extract(arch)
    kept = [0, *_kept(supernet.space, arch)]
    for layer, number in zip(net.layers, kept, strict=True):
        theirs = dict(parent.layers[number].named_modules())
        for name, module in layer.named_modules():
            if isinstance(module, ConvBN):
                whole, own = theirs[name], module.conv.out_channels
                assert isinstance(whole, ConvBN) and whole.bn is not None and module.bn is not None
                assert torch.equal(module.bn.running_var, whole.bn.running_var[:own])
                assert torch.equal(module.bn.weight, whole.bn.weight[:own])
                margin = (whole.window.kernel - module.window.kernel) // 2
                middle = slice(margin, whole.window.kernel - margin)
                squeezed, theirs_squeezed = (
                    one.squeeze.conv.out_channels if name == "expand" and one.squeeze is not None else 0
                    for one in (layer, parent.layers[number])
                )
                old = module.conv.weight.shape[1] - squeezed
                inputs = [*range(squeezed), *range(theirs_squeezed, theirs_squeezed + old)]
                assert torch.equal(module.conv.weight, whole.conv.weight[:own, inputs][:, :, middle, middle])


def _kept(space: NetworkSpace, arch: object) -> list[int]:
    """Numbers of the parent's layers that a network has, its first left out."""
    numbers, start = [], 1
    for stage, choice in zip(space.stages, arch.stages, strict=True):  # type: ignore[attr-defined]
        numbers += list(range(start, start + len(choice.ops)))
        start += len(stage.places)
    return numbers


def test_depth_leaves_out_the_last_layers_of_a_stage() -> None:
    space = space_of(zoo_spec("efficientnet_lite0", 10, 64), ParentConfig(), 48, 64)
    assert [len(stage.places) for stage in space.stages] == [2, 2, 3, 3, 4, 1]
    assert space.count() == 2 * 144


def test_stages_may_have_some_of_their_channels() -> None:
    space = space_of(zoo_spec("efficientnet_lite0", 10, 64), ParentConfig(widths=[0.75, 0.5, 1.0]))
    assert [stage.widths for stage in space.stages][:3] == [(24, 16), (40, 32, 24), (80, 64, 40)]
    assert space.largest == space.encode(space.decode(space.largest))
    ghosts = space_of(zoo_spec("ghostnet_1_0", 10, 64), ParentConfig(widths=[0.5, 1.0]))
    assert all(len(stage.widths) == 1 for stage in ghosts.stages)


def test_layers_choose_no_more_than_the_parent_has() -> None:
    space = space_of(zoo_spec("efficientnet_lite0", 10, 64), ParentConfig(kernels=[3, 7], expands=[1.0, 0.5]))
    ops = {str(op) for stage in space.stages for place in stage.places for op in place.ops}
    assert ops == {"k3e6r0", "k3e3r0", "k5e6r0", "k5e3r0"}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (ParentConfig(kernels=[4]), "parent.kernels"),
        (ParentConfig(expands=[1.5]), "parent.expands"),
        (ParentConfig(widths=[]), "parent.widths"),
    ],
)
def test_what_makes_no_network_is_named(config: ParentConfig, key: str) -> None:
    with pytest.raises(InputError, match=key):
        space_of(zoo_spec("efficientnet_lite0", 10, 64), config)
