"""Layers: the switch keeps everything alive, and training and evaluation have the same integers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.nets import Net
from frostnas.quant import ConvBN, QTensor, QuantState, RangeError, Scheme, set_state


def live_net() -> tuple[Net, torch.optim.Optimizer]:
    """A net after two steps of training in floating point."""
    torch.manual_seed(0)
    layers = (LayerSpec(BlockSpec(reuse="none", expand=1), 16, 1), LayerSpec(BlockSpec(reuse="squeeze_2"), 16, 1))
    net = Net(NetSpec("t", 8, StemSpec(8, 1), layers, HeadSpec(16, classes=3)))
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    set_state(net, QuantState.OBSERVE)
    for _ in range(2):
        step(net, optimizer)
    return net, optimizer


def step(net: Net, optimizer: torch.optim.Optimizer) -> None:
    logits = net(torch.randn(8, 3, 8, 8))
    assert isinstance(logits, torch.Tensor)
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(logits, torch.randint(0, 3, (8,))).backward()
    optimizer.step()


@pytest.mark.parametrize("state", QuantState)
def test_a_switch_keeps_parameters_moments_and_statistics(state: QuantState) -> None:
    net, optimizer = live_net()
    identities = {name: id(tensor) for name, tensor in [*net.named_parameters(), *net.named_buffers()]}
    values = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    moments = {id(p): (id(s["momentum_buffer"]), s["momentum_buffer"].clone()) for p, s in optimizer.state.items()}
    set_state(net, state)
    assert identities == {name: id(tensor) for name, tensor in [*net.named_parameters(), *net.named_buffers()]}
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, values[name], rtol=0, atol=0)
    for parameter, slot in optimizer.state.items():
        identity, value = moments[id(parameter)]
        assert id(slot["momentum_buffer"]) == identity
        assert torch.equal(slot["momentum_buffer"], value)
    step(net, optimizer)  # and training goes on


def test_a_network_says_which_layer_broke() -> None:
    net, optimizer = live_net()
    set_state(net, QuantState.FAKE)
    with torch.no_grad():
        net.layers[1].project.conv.weight[0] = torch.nan  # type: ignore[union-attr, index, operator]
    with pytest.raises(RangeError, match=r"layer layers\.1\.project\.quantizer: activations reached nan"):
        step(net, optimizer)


def test_frozen_training_moves_weights_but_no_statistics() -> None:
    net, optimizer = live_net()
    set_state(net, QuantState.FROZEN)
    net.train()
    buffers = {name: tensor.clone() for name, tensor in net.named_buffers()}
    weight = net.stem.conv.weight.detach().clone()  # type: ignore[union-attr, operator]
    step(net, optimizer)
    assert not torch.equal(net.stem.conv.weight, weight)  # type: ignore[union-attr, arg-type]
    for name, tensor in net.named_buffers():
        assert torch.equal(tensor, buffers[name]), name


def trained_like(layer: ConvBN, seed: int) -> ConvBN:
    """Random statistics as training leaves them: scales of either sign, variances over decades."""
    generator = torch.Generator().manual_seed(seed)
    bn = layer.bn
    assert bn is not None and bn.running_mean is not None and bn.running_var is not None
    with torch.no_grad():
        bn.weight.copy_(torch.randn(bn.weight.shape, generator=generator))
        bn.bias.copy_(torch.randn(bn.bias.shape, generator=generator))
        bn.running_mean.copy_(torch.randn(bn.bias.shape, generator=generator))
        bn.running_var.copy_(torch.exp(3 * torch.randn(bn.bias.shape, generator=generator)))
    return layer


@given(st.integers(0, 10_000), st.sampled_from([1, 3]), st.booleans(), st.sampled_from([7, 8]))
def test_training_rounds_to_the_integers_that_are_exported(seed: int, kernel: int, depthwise: bool, bits: int) -> None:
    torch.manual_seed(seed)
    scheme = Scheme(weight_bits=bits)
    groups = 8 if depthwise else 1
    layer = trained_like(ConvBN(8, 8, kernel, scheme=scheme, groups=groups, activation="relu"), seed)
    weight = layer.conv.weight.detach()
    plain = torch.round(weight / (weight.abs().amax((1, 2, 3), keepdim=True) / scheme.weight_max))
    assert layer.bn is not None
    sign = torch.sign(layer.bn.weight.detach()).view(-1, 1, 1, 1)
    folded = layer.integers(torch.tensor(1.0)).weight.float()
    # Equal but for values within rounding error of a half step.
    assert ((plain * sign) - folded).abs().max() <= 1
    assert ((plain * sign) != folded).float().mean() < 0.01


@given(st.integers(0, 10_000), st.floats(-8, 2))
def test_a_bias_always_fits_into_int32(seed: int, exponent: float) -> None:
    torch.manual_seed(seed)
    layer = trained_like(ConvBN(4, 4, scheme=Scheme()), seed)
    with torch.no_grad():
        layer.conv.weight[0] = 0
        layer.conv.weight[1] *= 1e-20
    scale = torch.tensor(10.0**exponent)
    integers = layer.integers(scale)
    steps = integers.bias.double() * integers.weight_scale.double() * scale.double()
    _, bias = layer.folded()
    half_step = integers.weight_scale.double() * scale.double() / 2
    assert bool(((steps - bias.detach()).abs() <= half_step * 1.01 + bias.detach().abs() * 1e-6).all())
    assert bool((integers.weight_scale > 0).all()) and int(integers.bias.abs().max()) <= 1.001 * 2**30


def test_evaluation_equals_training_arithmetic_with_running_statistics() -> None:
    torch.manual_seed(0)
    layer = trained_like(ConvBN(8, 16, 3, scheme=Scheme(), activation="relu"), 0)
    x = QTensor(torch.rand(4, 8, 6, 6), torch.tensor(1 / 255))
    layer.quantizer.state = QuantState.OBSERVE
    layer.eval()(x)
    layer.quantizer.state = QuantState.FROZEN
    exported = layer.eval()(x).value
    trained = layer.train()(x).value  # frozen: running statistics, unfolded
    step_size = layer.quantizer.scale.item()
    assert (exported - trained).abs().max() <= step_size * 1.01
    assert ((exported - trained).abs() > step_size / 2).float().mean() < 0.02
