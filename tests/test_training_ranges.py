"""Activation ranges over the epochs: what is written of them, and the picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread

from frostnas.nets import Net, create_model
from frostnas.quant import ActivationQuantizer, QuantState, set_state
from frostnas.report.range_plot import range_figure, save_range_plot
from frostnas.training.ranges import LayerRange, layer_ranges, moving_quantizers


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net(pixels: torch.Tensor) -> Net:
    """A network whose ranges have seen one batch."""
    torch.manual_seed(0)
    net = create_model("frostnet_small_0_35", 10, image_size=32)
    set_state(net.eval(), QuantState.OBSERVE)
    net(pixels)
    return net


def of(layer: str, rows: list[LayerRange]) -> LayerRange:
    return next(row for row in rows if row.layer == layer)


@pytest.mark.parametrize("state", [QuantState.OBSERVE, QuantState.FAKE, QuantState.FROZEN])
def test_looking_at_the_ranges_changes_nothing(net: Net, pixels: torch.Tensor, state: QuantState) -> None:
    set_state(net.train(), state)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    rows = layer_ranges(net, 3 * pixels, state)
    assert [row.layer for row in rows][:2] == ["input", "stem.quantizer"]
    assert len(rows) == len(moving_quantizers(net)) > 60
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert net.training and all(one.state is state for one in moving_quantizers(net))


def test_a_range_is_the_grid_and_the_bulk_lies_in_it(net: Net, pixels: torch.Tensor) -> None:
    row = of("input", layer_ranges(net, pixels, QuantState.FLOAT))
    assert row.low == pytest.approx(pixels.min().item(), abs=0.05)
    assert row.high == pytest.approx(pixels.max().item(), abs=0.05)
    wanted = np.quantile(pixels.numpy(), [0.001, 0.999])
    assert [row.bulk_low, row.bulk_high] == pytest.approx(wanted, abs=0.5)
    assert row.clipped < 0.001


@pytest.mark.parametrize(("factor", "clips"), [(4.0, False), (0.25, True)])
def test_an_outlier_widens_the_range_alone_and_a_narrow_one_cuts_activations_off(
    net: Net, pixels: torch.Tensor, factor: float, clips: bool
) -> None:
    before = of("input", layer_ranges(net, pixels, QuantState.FLOAT))
    net.input.high.mul_(factor)
    net.input.low.mul_(factor)
    net.input._set_grid()
    after = of("input", layer_ranges(net, pixels, QuantState.FLOAT))
    assert after.high - after.low == pytest.approx(factor * (before.high - before.low), rel=0.01)
    assert (after.bulk_low, after.bulk_high) == (before.bulk_low, before.bulk_high)
    assert (after.clipped > 0.1) is clips


def test_a_relu_clips_before_the_bulk_is_looked_for(net: Net, pixels: torch.Tensor) -> None:
    assert isinstance(net.stem.quantizer, ActivationQuantizer)
    row = of("stem.quantizer", layer_ranges(net, pixels, QuantState.FLOAT))
    assert row.low == row.bulk_low == 0.0 and row.clipped < 0.01


def table(net: Net, pixels: torch.Tensor, epochs: int) -> pd.DataFrame:
    rows = []
    for epoch in range(1, epochs + 1):
        phase = "float" if epoch == 1 else "qat"
        rows += [
            {"epoch": epoch, "phase": phase} | asdict(row) for row in layer_ranges(net, pixels * epoch, QuantState.FAKE)
        ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("epochs", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_the_picture_names_every_layer_and_is_the_same_for_the_same_file(
    net: Net, pixels: torch.Tensor, tmp_path: Path, epochs: int
) -> None:
    rows = table(net, pixels, epochs)
    rows.to_csv(tmp_path / "ranges.csv", index=False)
    for name in ("one.png", "two.png"):
        save_range_plot(tmp_path / "ranges.csv", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert imread(tmp_path / "one.png").shape[0] > 10 * rows.layer.nunique()
    shown = [label.get_text() for label in range_figure(rows).axes[0].get_yticklabels()]
    assert shown[:2] == ["input", "stem"] and len(shown) == rows.layer.nunique()
