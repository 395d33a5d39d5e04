"""What counts as another answer of an exported file, and what rounding alone may decide."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frostnas.artifacts import ImageFormat
from frostnas.config import AugmentConfig, ExportConfig
from frostnas.data.memory import MemoryImages
from frostnas.deploy.export import _logit_step
from frostnas.deploy.parity import Reference, compare
from frostnas.engine import predict
from frostnas.nets import Net, zoo_spec
from frostnas.quant import QuantState, Scheme, set_state

STEP, IMAGES = 0.25, 10
LOGITS = np.zeros((IMAGES, 3), np.float32)
LOGITS[:, 0] = 4.0
LIMITS = ExportConfig(min_agreement=0.95, max_top1_drop=0.0)


def images_of(count: int, side: int) -> MemoryImages:
    noise = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=noise)
    look = ImageFormat(tuple("abcdefghij"), side, (0.5,) * 3, (0.25,) * 3)
    return MemoryImages(pixels, torch.zeros(count, dtype=torch.long), look, AugmentConfig())


class File:
    """Gives the logits that it was made with."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self.given = logits

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.given


def shortfall_of(lead: float, images: int) -> tuple[str, int]:
    """Of a file that names the second class for some images, which fake-quant has ``lead`` below the first."""
    fake, made = LOGITS.copy(), LOGITS.copy()
    fake[:images, 1] = fake[:images, 0] - lead
    made[:images, 1] = 5.0
    reference = Reference(np.zeros(IMAGES, np.int64), fake, STEP)
    parity = compare(File(made), images_of(IMAGES, 8), reference)
    assert parity.agreement == parity.top1 == 1 - images / IMAGES  # as they are, ties or not
    return parity.shortfall(reference, LIMITS), len(parity.tied)


@pytest.mark.parametrize("lead", [STEP, 2 * STEP])
def test_two_classes_within_two_steps_are_a_tie_that_rounding_may_decide(lead: float) -> None:
    assert shortfall_of(lead, images=4) == ("", 4)


def test_more_than_two_steps_are_another_answer() -> None:
    said, tied = shortfall_of(3 * STEP, images=2)
    assert tied == 0 and said.startswith("agrees with fake-quant on 80.00% of the test images")
    assert shortfall_of(3 * STEP, images=1) == ("", 0)  # one image is no shortfall


def test_the_step_is_that_of_the_grid_on_which_logits_lie() -> None:
    torch.manual_seed(0)
    net = Net(zoo_spec("frostnet_small_0_35", 10, 32), Scheme())
    images = images_of(64, 32)
    set_state(net, QuantState.FAKE)
    net.train()(next(iter(images.batches(64)))[0])
    set_state(net, QuantState.FROZEN)
    values = np.unique(predict(net, images).numpy())
    assert np.diff(values).min() == pytest.approx(_logit_step(net), rel=1e-3)
