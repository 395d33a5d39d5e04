"""The block supernet computes every block of its space."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from frostnas.artifacts import BlockSpec, NetSpec
from frostnas.config import BlockSpaceConfig, ProxyConfig
from frostnas.nets import Net
from frostnas.nets.blocks import InvertedResidual
from frostnas.quant import ActivationQuantizer, ConvBN, QuantState, Scheme, set_state
from frostnas.search.block.supernet.block import MixedBlock
from frostnas.search.block.supernet.mixture import Architecture, Mixture, one_path
from frostnas.search.block.supernet.net import MixedSupernet
from frostnas.search.block.supernet.shared import SharedConv
from frostnas.search.block.trials.inside import at_rest
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.spaces.block import BlockSpace, parse_block

SPACE = BlockSpace(BlockSpaceConfig())
PROXY = ProxyConfig(stem_channels=32, widths=[32, 40], depths=[2, 1], strides=[1, 2], head_channels=32)
CPU = torch.device("cpu")


def spec_of(block: BlockSpec) -> NetSpec:
    return proxy_spec(PROXY, block, 8, 5)


def make_supernet() -> MixedSupernet:
    torch.manual_seed(0)
    return MixedSupernet(SPACE, spec_of(BlockSpec()), Scheme())


def images() -> Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def copy_conv(shared: SharedConv, alone: ConvBN, columns: Tensor | None = None) -> None:
    """Give a layer of a plain network the part of the supernet's weights that belongs to it."""
    rows, inputs = alone.conv.weight.shape[:2]
    weight = shared.conv.weight[:rows] if shared.depthwise else shared.conv.weight[:rows, :inputs]
    alone.conv.weight.data.copy_(weight if columns is None else shared.conv.weight[:rows][:, columns])
    assert alone.bn is not None
    alone.bn.weight.data.copy_(shared.bn.weight[:rows])
    alone.bn.bias.data.copy_(shared.bn.bias[:rows])


def first_conv(module: nn.Module) -> ConvBN:
    return next(part for part in module.modules() if isinstance(part, ConvBN))


def copy_block(mixed: MixedBlock, alone: InvertedResidual, block: BlockSpec) -> None:
    squeezed = 0
    if alone.squeeze is not None:
        conv = first_conv(alone.squeeze)
        squeezed = conv.conv.out_channels
        assert mixed.squeeze is not None
        copy_conv(mixed.squeeze, conv)
    assert alone.expand is not None
    # The plain block has squeezed channels before the input, the supernet behind it.
    width = mixed.in_channels
    columns = torch.cat([torch.arange(width, width + squeezed), torch.arange(width)])
    copy_conv(mixed.expand, first_conv(alone.expand), columns)
    if block.spatial in mixed.spatial.convs:
        shared = mixed.spatial.convs[block.spatial]
        assert isinstance(shared, SharedConv)
        copy_conv(shared, first_conv(alone.spatial))
    if alone.gate is not None:
        alone.gate.load_state_dict(mixed.gates[block.gate].state_dict())
    copy_conv(mixed.project, alone.project)


def cut_out(supernet: MixedSupernet, block: BlockSpec) -> Net:
    net = Net(spec_of(block))
    net.stem.load_state_dict(supernet.stem.state_dict(), strict=False)  # the supernet keeps no statistics
    for mixed, alone in zip(supernet.blocks, net.layers, strict=True):
        assert isinstance(mixed, MixedBlock)
        assert isinstance(alone, InvertedResidual)
        copy_block(mixed, alone, block)
    assert isinstance(net.head, nn.Sequential)
    copy_conv(supernet.head, first_conv(net.head))
    net.head[-1].load_state_dict(supernet.classifier.state_dict())
    return net


EXACT = [
    "frost",
    "mobilenet_v2",
    "none-3-max_pool_3-hard_swish-none-none",
    "squeeze_2-6-dilated_3-hard_swish-squeeze_excite-add",
    "squeeze_4-3-depthwise_5-relu6-none-none",
]


@pytest.mark.parametrize("state", [QuantState.FLOAT, QuantState.FAKE])
@pytest.mark.parametrize("name", EXACT)
def test_one_path_is_the_block_alone_with_the_same_weights(name: str, state: QuantState) -> None:
    supernet, block = make_supernet(), parse_block(name)
    net = cut_out(supernet, block)
    for model in (supernet, net):
        set_state(model, state)
        model.train()
    path = one_path(SPACE, SPACE.encode(block), CPU)
    torch.testing.assert_close(supernet(images(), path), net(images()), rtol=1e-3, atol=1e-3)


def test_a_mixture_that_is_certain_is_the_path() -> None:
    supernet, block = make_supernet(), parse_block("squeeze_2-6-depthwise_3-relu-squeeze_excite-add")
    path = one_path(SPACE, SPACE.encode(block), CPU)
    torch.testing.assert_close(supernet(images(), Mixture(path.weights)), supernet(images(), path))


def test_every_architecture_weight_gets_a_gradient() -> None:
    supernet, arch = make_supernet(), Architecture(SPACE, CPU)
    set_state(supernet, QuantState.FAKE)
    supernet(images(), arch.mixed()).square().mean().backward()
    for slot, logits in arch.logits.items():
        assert logits.grad is not None
        assert (logits.grad != 0).all(), slot


def test_slots_keep_their_order_in_codes() -> None:
    arch = Architecture(SPACE, CPU)
    with torch.no_grad():
        arch.logits["expand"][1] = 5.0
        arch.logits["spatial"][4] = 5.0
    block = SPACE.decode(arch.best())
    assert (block.expand, block.spatial, block.reuse) == (6, "max_pool_3", "none")


def test_batch_norm_has_no_statistics_of_another_path() -> None:
    supernet = make_supernet()
    norms = [module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(bn.running_mean is None for bn in norms)
    path = one_path(SPACE, SPACE.encode(BlockSpec()), CPU)
    other = one_path(SPACE, SPACE.encode(parse_block("none-3-depthwise_7-relu6-none-none")), CPU)
    before = supernet(images(), path)
    supernet(images() * 3, other)
    torch.testing.assert_close(supernet(images(), path), before)


def test_a_path_moves_only_the_ranges_of_its_own_candidates() -> None:
    supernet = make_supernet()
    set_state(supernet, QuantState.FAKE)
    supernet(images(), one_path(SPACE, SPACE.encode(parse_block("none-3-depthwise_7-relu-none-none")), CPU))
    moved = {
        name
        for name, module in supernet.named_modules()
        if isinstance(module, ActivationQuantizer) and not module.fixed and bool(module.started)
    }
    inside = {name for name in moved if ".spatial.activations." in name}
    assert inside == {f"blocks.{number}.spatial.activations.depthwise_7.candidates.0" for number in range(3)}


@pytest.mark.parametrize("state", [QuantState.OBSERVE, QuantState.FAKE])
def test_scoring_a_block_inside_leaves_the_supernet_as_it_was(state: QuantState) -> None:
    supernet = make_supernet()
    set_state(supernet, state)
    path = one_path(SPACE, SPACE.encode(BlockSpec()), CPU)
    supernet(images(), path)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    with at_rest(supernet):
        supernet(images() * 5, path)
    after = supernet.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    states = {module.state for module in supernet.modules() if isinstance(module, ActivationQuantizer)}
    assert states == {state}
    assert all(module.training for module in supernet.modules())
