"""Every block computes in onnxruntime what it computes fake-quantized in torch, in integers throughout."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from frostnas import BlockSpec
from frostnas.nets.ops import ACTIVATIONS, GATES, SPATIAL
from frostnas.quant import ConvBN
from tests.emitted import as_if_trained, compare, observe, probe_of

SLOTS = {
    "frost": BlockSpec(),
    "squeeze_2": BlockSpec(reuse="squeeze_2"),
    "no_expansion": BlockSpec(expand=1),
    "no_skip": BlockSpec(skip="none"),
    **{spatial: BlockSpec(spatial=spatial, expand=3) for spatial in SPATIAL},
    **{activation: BlockSpec(activation=activation, expand=3) for activation in ACTIVATIONS},
    **{f"hard_swish_{gate}": BlockSpec(activation="hard_swish", gate=gate, expand=3) for gate in GATES},
    "ghost": BlockSpec(kind="ghost", reuse="none", expand=3),
    "ghost_squeeze_excite": BlockSpec(kind="ghost", reuse="none", expand=3, gate="squeeze_excite"),
}
SHAPE = (8, 32, 9, 9)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("slot", SLOTS)
def test_export_matches_fake_quant_within_one_step(slot: str, stride: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    probe = probe_of(SLOTS[slot], stride=stride)
    as_if_trained(probe, SHAPE)
    found = compare(probe, torch.randn(SHAPE), tmp_path)
    assert found.steps <= 1
    assert found.float_operations == []
    assert not {"Conv", "Concat", "Add", "Mul", "GlobalAveragePool"} & set(found.kinds)


def test_each_layer_becomes_its_integer_kernel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    probe = probe_of(BlockSpec(activation="hard_swish", gate="squeeze_excite", spatial="depthwise_5"))
    as_if_trained(probe, SHAPE)
    kinds = compare(probe, torch.randn(SHAPE), tmp_path).kinds
    assert kinds["QLinearConv"] == 6  # squeeze, expand, spatial, two of the gate, project
    assert kinds["QLinearConcat"] == 1
    assert kinds["QLinearAdd"] == 3 + 1  # one in each hard-swish, one for the skip
    assert kinds["QLinearMul"] == 3 + 1  # one in each hard-swish, one for the gate
    assert kinds["QLinearGlobalAveragePool"] == 1
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] == 1


@pytest.mark.parametrize("slot", ["frost", "hard_swish_squeeze_excite", "max_pool_3", "ghost"])
def test_seven_bit_weights_match_and_stay_within_63(slot: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    probe = probe_of(SLOTS[slot], weight_bits=7)
    as_if_trained(probe, SHAPE)
    found = compare(probe, torch.randn(SHAPE), tmp_path)
    assert found.steps <= 1 and found.float_operations == []
    layers = [module for module in probe.modules() if isinstance(module, ConvBN)]
    assert {int(layer.integers(torch.tensor(0.1)).weight.abs().max()) for layer in layers} == {63}


@pytest.mark.parametrize("slot", ["frost", "hard_swish_squeeze_excite", "max_pool_3", "ghost"])
def test_signed_activations_match(slot: str, tmp_path: Path) -> None:
    """Their integer kernels exist on ARM only: on x86 the runtime computes parts of it in float."""
    torch.manual_seed(0)
    probe = probe_of(SLOTS[slot], signed_activations=True)
    as_if_trained(probe, SHAPE)
    assert compare(probe, torch.randn(SHAPE), tmp_path).steps <= 1


blocks = st.builds(
    BlockSpec,
    kind=st.sampled_from(["inverted_residual", "ghost"]),
    reuse=st.sampled_from(["none", "squeeze_2", "squeeze_4"]),
    expand=st.sampled_from([1, 2.5, 3, 6]),
    spatial=st.sampled_from([*SPATIAL]),
    activation=st.sampled_from(ACTIVATIONS),
    gate=st.sampled_from(["none", *GATES]),
    skip=st.sampled_from(["none", "add"]),
)


@given(
    block=blocks,
    in_channels=st.sampled_from([8, 16, 24, 40]),
    out_channels=st.sampled_from([8, 16, 40]),
    stride=st.sampled_from([1, 2]),
    size=st.integers(1, 9),
    spread=st.sampled_from([0.3, 1.0, 4.0]),
    weight_bits=st.sampled_from([7, 8]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=25)
def test_any_layer_matches_in_integers(
    block: BlockSpec,
    in_channels: int,
    out_channels: int,
    stride: int,
    size: int,
    spread: float,
    weight_bits: int,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    probe = probe_of(block, in_channels, out_channels, stride, weight_bits=weight_bits)
    as_if_trained(probe, (4, in_channels, size, size), steps=2)
    with tempfile.TemporaryDirectory() as folder:
        found = compare(probe, spread * torch.randn(4, in_channels, size, size), Path(folder))
    assert found.steps <= 1 and found.float_operations == []


def _norms(probe: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in probe.modules() if isinstance(module, nn.BatchNorm2d)]


def dead_channels(probe: nn.Module) -> None:
    for norm in _norms(probe):
        norm.weight[::3], norm.bias[::6] = 0, 0


def biases_beyond_int32(probe: nn.Module) -> None:
    for norm in _norms(probe):
        norm.weight[::3], norm.bias[::3] = 1e-12, 5


def silent_relus(probe: nn.Module) -> None:
    for norm in _norms(probe):
        norm.bias.fill_(-100)


def no_weights(probe: nn.Module) -> None:
    for parameter in probe.parameters():
        parameter.zero_()


@pytest.mark.parametrize("damage", [dead_channels, biases_beyond_int32, silent_relus, no_weights])
@pytest.mark.parametrize("slot", ["frost", "hard_swish_squeeze_excite", "ghost"])
def test_degenerate_weights_match(slot: str, damage: Callable[[nn.Module], None], tmp_path: Path) -> None:
    torch.manual_seed(0)
    probe = probe_of(SLOTS[slot])
    as_if_trained(probe, SHAPE)
    with torch.no_grad():
        damage(probe)
    observe(probe, torch.randn(SHAPE))
    found = compare(probe, torch.randn(SHAPE), tmp_path)
    assert found.steps <= 1 and found.float_operations == []
