"""No hole in the trace: what a reader of networks does not know, it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from frostnas.artifacts import BlockSpec, HeadSpec, LayerSpec, NetSpec, StemSpec, Workload
from frostnas.deploy.formats.decomposed import Decomposed
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.latency.models import network_model
from frostnas.nets import Net, count, zoo_spec
from frostnas.nets.ops import SPATIAL
from frostnas.nets.trace import trace
from frostnas.quant import Layer, QTensor, Scheme
from frostnas.search.net.resources import ResourceCounter

LAYER = LayerSpec(BlockSpec(reuse="none", spatial="doubling_3"), 16, 1)
NET = NetSpec("made_up", 16, StemSpec(16), (LAYER,), HeadSpec(32, classes=4))
READERS: dict[str, Callable[[], object]] = {
    "counting": lambda: count(NET),
    "resources": lambda: ResourceCounter()(Workload(LAYER, 16, 8)),
    "onnx": lambda: emit_net(Net(NET), {}, quantized=True),
    "float onnx": lambda: emit_net(Net(NET), {}, quantized=False),
    "q/dq": lambda: Decomposed(Net(NET)),
}


class Doubling(Layer):
    """A layer that no reader has heard of."""

    def forward(self, x: QTensor) -> QTensor:
        return QTensor(2 * x.value, x.scale)


class Unlayered(nn.Module):
    """The same arithmetic outside of any layer."""

    def forward(self, x: QTensor) -> QTensor:
        return QTensor(2 * x.value, x.scale)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("made_up", [Doubling, Unlayered])
def test_a_layer_that_a_reader_does_not_know_is_refused(
    made_up: type[nn.Module], reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SPATIAL, "doubling_3", lambda channels, stride, activation, scheme: made_up())
    assert Net(NET)(torch.zeros(1, 3, 16, 16)).shape == (1, 4)  # it runs
    with pytest.raises(TypeError, match="Doubling" if made_up is Doubling else r"spatial: no layer computes mul"):
        READERS[reader]()


def test_a_network_of_several_results_is_refused() -> None:
    with pytest.raises(TypeError, match="no layer computes output"):
        trace(Net(zoo_spec("frostnet_small_0_35"), features_only=True))


@pytest.mark.parametrize("name", ["frostnet_small_0_35", "mobilenet_v3_small_1_0", "ghostnet_1_0"])
def test_size_in_bytes_is_that_of_the_exported_file(name: str, tmp_path: Path) -> None:
    spec, counter = zoo_spec(name, 10, 32), ResourceCounter()
    path = tmp_path / "model.onnx"
    path.write_bytes(network_model(spec, Scheme()).SerializeToString())
    assert sum(counter(part).size_bytes for part in spec.workloads()) == pytest.approx(path.stat().st_size, rel=0.01)
