"""Fake quantization is torch's own arithmetic, for every range."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from frostnas.quant import (
    ActivationQuantizer,
    InputQuantizer,
    QuantState,
    RangeError,
    Scheme,
    fake_quantize_weight,
    weight_scale,
)

SCHEMES = st.sampled_from([Scheme(), Scheme(weight_bits=7), Scheme(signed_activations=True)])
FINITE = st.floats(-1e3, 1e3, width=32)


def observed(quantizer: ActivationQuantizer, x: Tensor) -> ActivationQuantizer:
    quantizer.state = QuantState.OBSERVE
    quantizer(x)
    quantizer.state = QuantState.FROZEN
    return quantizer


@given(st.lists(FINITE, min_size=1, max_size=40), st.lists(FINITE, min_size=1, max_size=40), SCHEMES)
def test_activations_and_gradients_agree_with_torch(range_: list[float], values: list[float], scheme: Scheme) -> None:
    quantizer = observed(ActivationQuantizer(scheme), torch.tensor(range_))
    x = torch.tensor(values, requires_grad=True)
    reference = x.detach().clone().requires_grad_()
    low, high = scheme.activation_min, scheme.activation_max
    wanted = torch.fake_quantize_per_tensor_affine(
        reference, quantizer.scale, torch.tensor(quantizer.zero_point, dtype=torch.int32), low, high
    )
    found = quantizer(x).value
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=float(quantizer.scale) * 1e-3)
    found.sum().backward()
    wanted.sum().backward()
    # At the half step beyond either end the two may round to different sides.
    edge = (x / quantizer.scale + quantizer.zero_point - low).detach()
    tie = ((edge + 0.5).abs() < 1e-2) | ((edge - 255.5).abs() < 1e-2)
    assert x.grad is not None and reference.grad is not None
    assert bool(((x.grad == reference.grad) | tie).all())


@given(st.lists(FINITE, min_size=1, max_size=40), SCHEMES)
def test_the_grid_holds_zero_and_the_whole_range(values: list[float], scheme: Scheme) -> None:
    x = torch.tensor(values)
    quantizer = observed(ActivationQuantizer(scheme), x)
    assert scheme.activation_min <= quantizer.zero_point <= scheme.activation_max
    assert quantizer(torch.zeros(1)).value.item() == 0
    assert float((quantizer(x).value - x).abs().max()) <= float(quantizer.scale) * 1.01  # zero point rounds too


SIZES = st.floats(2**-10, 2**10, width=32)


@given(st.lists(SIZES, min_size=1, max_size=20), st.sampled_from([1.0, -1.0]), SCHEMES)
def test_one_sided_and_constant_ranges_quantize_their_own_values(
    sizes: list[float], sign: float, scheme: Scheme
) -> None:
    x = torch.tensor(sizes) * sign
    quantizer = observed(ActivationQuantizer(scheme), x)
    assert quantizer.zero_point == (scheme.activation_min if sign > 0 else scheme.activation_max)
    torch.testing.assert_close(quantizer.scale, x.abs().amax() / 255, rtol=1e-5, atol=0)
    torch.testing.assert_close(quantizer(x).value, x, rtol=0, atol=float(quantizer.scale) * 0.501)


@given(st.integers(1, 20), FINITE, SCHEMES)
def test_an_empty_range_gives_zeros_and_no_gradient_trouble(count: int, value: float, scheme: Scheme) -> None:
    quantizer = observed(ActivationQuantizer(scheme), torch.zeros(count))
    assert quantizer(torch.zeros(count)).value.abs().max() == 0
    x = torch.full((count,), value, requires_grad=True)
    found = quantizer(x).value
    found.sum().backward()
    assert x.grad is not None and bool(torch.isfinite(found).all() & torch.isfinite(x.grad).all())


BAD = st.sampled_from([float("nan"), float("inf"), -float("inf")])


@given(st.lists(FINITE, min_size=1, max_size=20), BAD, st.integers(0, 100), st.booleans())
def test_a_range_that_is_not_finite_names_the_layer(values: list[float], bad: float, at: int, started: bool) -> None:
    quantizer = ActivationQuantizer(Scheme())
    quantizer.name = "layers.3.expand.quantizer"
    quantizer.state = QuantState.FAKE
    if started:
        quantizer(torch.tensor(values))
    values.insert(at % (len(values) + 1), bad)
    with pytest.raises(RangeError, match=r"layers\.3\.expand\.quantizer"):
        quantizer(torch.tensor(values))


@given(st.floats(0, 1), st.floats(0.05, 1))
def test_at_most_two_pixel_values_are_rounding_ties_whatever_the_normalisation(mean: float, std: float) -> None:
    pixels = (torch.arange(256, dtype=torch.float64) / 255 - mean) / std
    steps = pixels / observed(InputQuantizer(Scheme()), pixels.float()).scale.double()
    assert int(((steps - steps.floor() - 0.5).abs() < 1e-3).sum()) <= 2


def test_the_range_is_a_moving_average_that_starts_at_the_first_batch() -> None:
    quantizer = ActivationQuantizer(Scheme(averaging=0.25))
    quantizer.state = QuantState.OBSERVE
    quantizer(torch.tensor([-1.0, 2.0]))
    assert (quantizer.low.item(), quantizer.high.item()) == (-1.0, 2.0)
    quantizer(torch.tensor([-3.0, 6.0]))
    assert (quantizer.low.item(), quantizer.high.item()) == (-1.5, 3.0)


def test_ranges_do_not_move_in_evaluation_nor_when_frozen() -> None:
    quantizer = observed(ActivationQuantizer(Scheme()), torch.tensor([-1.0, 1.0]))
    for state, training in ((QuantState.FROZEN, True), (QuantState.FAKE, False), (QuantState.FLOAT, True)):
        quantizer.state = state
        quantizer.train(training)(torch.tensor([50.0]))
        assert quantizer.high.item() == 1.0


@pytest.mark.parametrize(("floor", "ceiling"), [(0.0, torch.inf), (0.0, 6.0)])
def test_a_relu_inside_the_quantizer_has_the_relus_gradient(floor: float, ceiling: float) -> None:
    x = torch.linspace(-8, 8, 161)
    quantizer = observed(ActivationQuantizer(Scheme(), floor, ceiling), x)
    leaf = x.clone().requires_grad_()
    value = quantizer(leaf).value
    assert float(value.detach().min()) == 0 and float(value.detach().max()) <= min(8.0, ceiling) * 1.001
    value.sum().backward()
    assert leaf.grad is not None
    inner = (x > 0.05) & (x < min(8.0, ceiling) - 0.05)
    assert bool((leaf.grad[inner] == 1).all()) and bool((leaf.grad[x < -0.01] == 0).all())
    assert bool((leaf.grad[x > ceiling + 0.05] == 0).all())


@given(st.integers(1, 6), st.integers(1, 4), st.floats(1e-6, 1e4), SCHEMES, st.integers(0, 1000))
def test_weights_agree_with_torch_per_channel(out: int, inner: int, size: float, scheme: Scheme, seed: int) -> None:
    weight = torch.randn(out, inner, 3, 3, generator=torch.Generator().manual_seed(seed)) * size
    weight.requires_grad_()
    scale = weight_scale(weight, scheme).flatten()
    zeros = torch.zeros(out, dtype=torch.int32)
    limit = scheme.weight_max
    wanted = torch.fake_quantize_per_channel_affine(weight.detach(), scale, zeros, 0, -limit, limit)
    found = fake_quantize_weight(weight, scheme)
    torch.testing.assert_close(found.detach(), wanted, rtol=1e-5, atol=float(scale.max()) * 1e-3)
    (gradient,) = torch.autograd.grad(found.sum(), weight)
    assert bool((gradient == 1).all())


def test_an_all_zero_weight_stays_zero() -> None:
    assert fake_quantize_weight(torch.zeros(2, 3, 1, 1), Scheme()).abs().max() == 0
