"""Optimizers, schedules, checkpoints and accuracy."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.config import Device, OptimConfig, OptimizerName, ScheduleName
from frostnas.engine import (
    Schedule,
    decay_groups,
    evaluate,
    make_optimizer,
    pick_device,
    predict,
    rng_state,
    seed_all,
    set_rng_state,
)
from frostnas.engine.rmsprop import RMSpropTF
from frostnas.errors import InputError
from frostnas.nets.net import Net

NET = NetSpec("tiny", 8, StemSpec(8, 2), (LayerSpec(BlockSpec(expand=3), 8, 1),), HeadSpec(16, classes=3))


def test_weight_decay_spares_depthwise_and_is_light_on_the_rest() -> None:
    net = Net(NET)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    decay = {names[id(one)]: group["weight_decay"] for group in decay_groups(net, 1.0) for one in group["params"]}
    assert len(decay) == len(names)
    assert decay["stem.conv.weight"] == 1
    assert decay["layers.0.expand.conv.weight"] == 1
    assert decay["layers.0.spatial.conv.weight"] == 0
    assert decay["layers.0.spatial.bn.weight"] == 0.01
    assert decay["layers.0.project.bn.bias"] == 0.01
    assert {value for name, value in decay.items() if name.startswith("head.3")} == {0.01}  # the classifier


@pytest.mark.parametrize("name", list(OptimizerName))
def test_every_optimizer_lowers_a_loss(name: OptimizerName) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = make_optimizer(model, OptimConfig(name=name, lr=0.02, weight_decay=0.0))
    x = torch.randn(32, 4)
    losses = []
    for _ in range(50):
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.2 * losses[0]


def test_rmsprop_follows_the_formula_of_tensorflow() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = RMSpropTF([weight], lr=0.1, alpha=0.9, eps=1e-3, momentum=0.8, weight_decay=0.01)
    expected, square, momentum = np.array([1.0, -2.0]), np.ones(2), np.zeros(2)
    for step in range(5):
        gradient = np.array([0.5, -0.25]) * (step + 1)
        weight.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
        decayed = gradient + 0.01 * expected
        square = 0.9 * square + 0.1 * decayed**2
        momentum = 0.8 * momentum + 0.1 * decayed / np.sqrt(square + 1e-3)
        expected = expected - momentum
    assert np.allclose(weight.detach().numpy(), expected, atol=1e-6)


@given(
    name=st.sampled_from(ScheduleName),
    warmup=st.floats(0, 3),
    epochs=st.integers(1, 10),
    steps_per_epoch=st.integers(1, 20),
)
def test_learning_rates_stay_between_zero_and_the_peak(
    name: ScheduleName, warmup: float, epochs: int, steps_per_epoch: int
) -> None:
    config = OptimConfig(lr=0.5, schedule=name, warmup_epochs=warmup)
    schedule = Schedule(config, steps_per_epoch, epochs * steps_per_epoch)
    rates = [round(schedule.lr(step), 9) for step in range(epochs * steps_per_epoch)]
    assert all(0 <= rate <= 0.5 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_step_schedule_decays_every_fraction_of_an_epoch() -> None:
    config = OptimConfig(lr=1.0, schedule=ScheduleName.step, step_epochs=0.5, step_factor=0.1)
    schedule = Schedule(config, steps_per_epoch=10, steps=20)
    assert [round(schedule.lr(step), 6) for step in (0, 4, 5, 9, 10, 15)] == [1, 1, 0.1, 0.1, 0.01, 0.001]


def test_the_state_of_every_generator_comes_back() -> None:
    seed_all(3)
    state = rng_state()
    drawn = (random.random(), float(np.random.rand()), torch.rand(2))  # noqa: NPY002
    set_rng_state(state)
    again = (random.random(), float(np.random.rand()), torch.rand(2))  # noqa: NPY002
    assert drawn[:2] == again[:2]
    assert torch.equal(drawn[2], again[2])


class Ten:
    """Ten images of which the sign of the first pixel is the class."""

    pixels = torch.linspace(-1, 1, 10).view(10, 1, 1, 1)

    def __len__(self) -> int:
        return 10

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for part in self.pixels.split(batch_size):
            yield part, (part.flatten() > 0.5).long()


def test_accuracy_is_the_share_of_images_and_leaves_the_mode_alone() -> None:
    class Sign(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            return torch.stack([-x.flatten(), x.flatten()], dim=1)

    model = Sign().train()
    assert evaluate(model, Ten(), batch_size=3) == pytest.approx(0.8)
    assert model.training
    assert predict(model, Ten(), batch_size=4).shape == (10, 2)


def test_cuda_without_a_device_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device=cuda"):
        pick_device(Device.cuda)
    assert pick_device(Device.auto) == torch.device("cpu")
