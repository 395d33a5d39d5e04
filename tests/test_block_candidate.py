"""The documented example of a new candidate works in every form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from frostnas.artifacts import BlockSpec
from frostnas.config import BlockSpaceConfig, ProxyConfig
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.nets import Net
from frostnas.nets.ops import SPATIAL
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.search.block.supernet.mixture import Architecture, one_path
from frostnas.search.block.supernet.net import MixedSupernet
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.spaces.block import BlockSpace
from tests.emitted import run_file

DOCUMENT = Path(__file__).parents[1] / "docs" / "new-operation.md"
CPU = torch.device("cpu")
PROXY = ProxyConfig(stem_channels=16, widths=[16], depths=[1], strides=[1], head_channels=16)


@pytest.fixture
def block() -> Iterator[BlockSpec]:
    """A block with the candidate that the documentation registers."""
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code is not None
    with patch.dict(SPATIAL):
        exec(compile(code[1], str(DOCUMENT), "exec", dont_inherit=True), {})
        yield BlockSpec(spatial="double_3", expand=3, reuse="none")


def images() -> torch.Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_new_candidate_is_searched(block: BlockSpec) -> None:
    space = BlockSpace(replace(BlockSpaceConfig(), spatial=["depthwise_3", "double_3"]))
    assert block in space
    supernet, arch = (
        MixedSupernet(space, proxy_spec(PROXY, block, 16, 3), Scheme()),
        Architecture(space, CPU),
    )
    for state in (QuantState.OBSERVE, QuantState.FAKE):
        set_state(supernet, state)
        supernet(images(), one_path(space, space.encode(block), CPU))
        supernet(images(), arch.mixed()).square().mean().backward()
    gradient = arch.logits["spatial"].grad
    assert gradient is not None
    assert (gradient != 0).all()


def test_the_new_candidate_is_exported(block: BlockSpec, tmp_path: Path) -> None:
    net = Net(proxy_spec(PROXY, block, 16, 3))
    set_state(net, QuantState.FAKE)
    net(images())
    net.eval()
    path = tmp_path / "net.onnx"
    path.write_bytes(emit_net(net, {}, quantized=True).SerializeToString())
    found = run_file(path, images())
    with torch.no_grad():
        logits = net(images())
    assert isinstance(logits, torch.Tensor)
    assert np.abs(found - logits.numpy()).max() <= 3 * float(np.abs(found).max()) / 127
