"""examples/detector.py trains, and its backbone computes what it would in integers."""

from __future__ import annotations

import pytest
import torch

from frostnas.quant import QuantState, set_state
from tests.pages import REPOSITORY, blocks, load_script

EXAMPLE = "examples/detector.py"


@pytest.mark.slow
def test_a_few_steps_lower_the_loss_in_floating_point_and_fake_quantized() -> None:
    example = load_script(EXAMPLE)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    detector = example.make_detector()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=2e-3)
    body = detector.backbone.body
    set_state(body, QuantState.OBSERVE)
    in_float = example.train(detector, optimizer, 10, generator, batch=4)
    set_state(body, QuantState.FAKE)
    quantized = example.train(detector, optimizer, 10, generator, batch=4)
    assert sum(in_float[-3:]) < 0.8 * sum(in_float[:3])
    assert sum(quantized[-3:]) < sum(in_float[-3:])
    assert 0 <= example.recall(detector, generator, count=2) <= 1
    maps = body(torch.rand(1, 3, 96, 96))
    assert [value.shape[2] for value in maps] == [24, 12, 6, 3]
    for value in maps:  # at most 256 levels, so on a grid
        levels = value.unique()
        assert 2 < len(levels) <= 256
        steps = levels.diff() / levels.diff().min()
        assert torch.allclose(steps, steps.round(), atol=1e-2)


def test_the_code_in_the_docs_is_the_example_s() -> None:
    def lines(text: str) -> str:
        return "\n".join(line.strip() for line in text.strip().splitlines())

    shown = [block for block in blocks("detection.md") if block.language == "python"]
    assert len(shown) == 2
    source = (REPOSITORY / EXAMPLE).read_text()
    for block in shown:
        assert lines(block.text) in lines(source)
