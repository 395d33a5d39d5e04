"""Stochastic depth: which blocks are left out, how often, and where nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frostnas import training
from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec
from frostnas.config import Config, DataConfig, TrainConfig
from frostnas.data import load
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.engine import Recipe, Workspace
from frostnas.nets import Net
from frostnas.quant import Add, QTensor, QuantState, Scheme, set_state
from frostnas.training.depth import set_drop_path

IMAGES = 4000


def sums(state: QuantState, *, training: bool) -> torch.Tensor:
    """What is added to nothing by a sum that leaves a quarter out, (IMAGES,)."""
    torch.manual_seed(0)
    add = Add(Scheme())
    add.drop = 0.25
    ones, scale = torch.ones(IMAGES, 2, 1, 1), torch.tensor(1 / 64)
    set_state(add.eval(), QuantState.OBSERVE)
    add(QTensor(ones, scale), QTensor(ones, scale))
    set_state(add.train(training), state)
    both: torch.Tensor = add(QTensor(0 * ones, scale), QTensor(ones, scale)).value.flatten(1)
    assert torch.equal(both[:, 0], both[:, 1])  # an image's block is left out as a whole
    return both[:, 0]


def test_a_residual_sum_leaves_out_its_share_and_keeps_the_mean() -> None:
    found = sums(QuantState.OBSERVE, training=True)
    left_out = found == 0
    assert torch.allclose(found[~left_out], torch.tensor(4 / 3))
    assert float(left_out.float().mean()) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("state", "training"),
    [(QuantState.FLOAT, False), (QuantState.OBSERVE, False), (QuantState.FAKE, True), (QuantState.FROZEN, True)],
)
def test_nothing_is_left_out_in_evaluation_or_where_sums_are_rounded(state: QuantState, training: bool) -> None:
    assert torch.allclose(sums(state, training=training), torch.ones(IMAGES), atol=0.01)


def spec_of(layers: int, classes: int = 3) -> NetSpec:
    block = LayerSpec(BlockSpec(reuse="none", expand=1), 8, 1)
    return NetSpec("t", 8, StemSpec(8, 1), (block,) * layers, HeadSpec(8, classes=classes))


def net_of(layers: int) -> Net:
    torch.manual_seed(0)
    net = Net(spec_of(layers))
    set_state(net, QuantState.OBSERVE)
    net(torch.randn(4, 3, 8, 8))
    return net


def test_the_rate_grows_with_depth() -> None:
    net = net_of(4)
    set_drop_path(net, 0.2)
    assert [layer.add.drop for layer in net.layers] == pytest.approx([0, 0.05, 0.1, 0.15])  # type: ignore[union-attr]


@pytest.mark.parametrize("quantized", [True, False])
def test_the_exported_graph_knows_nothing_of_it(quantized: bool) -> None:
    net = net_of(2).eval()
    plain = emit_net(net, {}, quantized=quantized).SerializeToString()
    set_drop_path(net, 0.5)
    assert emit_net(net, {}, quantized=quantized).SerializeToString() == plain


def test_a_training_step_depends_on_its_seed_alone() -> None:
    net, images = net_of(4).train(), torch.randn(16, 3, 8, 8)
    whole = net(images)
    set_drop_path(net, 0.5)
    first, again, other = (torch.manual_seed(seed) and net(images) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first, whole)


def test_the_setting_reaches_the_training(tmp_path: Path) -> None:
    data = load(DataConfig(image_size=8), torch.device("cpu"))
    few = torch.arange(64)
    data = replace(data, train=data.train.subset(few), val=data.val.subset(few), test=data.test.subset(few))

    def trained(rate: float) -> str:
        config = Config(
            train=TrainConfig(batch_size=32, float_epochs=1, epochs=0, calibration_batches=1, drop_path=rate)
        )
        recipe = Recipe.of(config, "train")
        with Workspace.open(tmp_path / str(rate), quiet=True) as workspace:
            result, _ = training.run(recipe, config.train, data, spec_of(3, classes=10), workspace, str(rate))
        return result.weights_sha256

    assert trained(0.0) != trained(0.5)
