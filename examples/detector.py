"""A FrostNet backbone inside a torchvision detector, trained to find coloured rectangles on noise.

    python examples/detector.py [--float-steps 120] [--quant-steps 60]

The backbone is trained in floating point first, while its ranges are observed, and then fake-quantized, with the same
optimizer (StatAssist). The pyramid and the head of the detector stay in floating point throughout.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, box_iou

import frostnas
from frostnas.quant import QuantState, set_state

SIDE = 96
"""Of the images, pixels."""

Target = dict[str, Tensor]
"""`boxes`, float32 (boxes, 4) as x1, y1, x2, y2, and `labels`, int64 (boxes,), as torchvision's detectors read them."""


class PyramidBackbone(nn.Module):
    """The maps of a features-only network at strides 4, 8, 16 and 32, joined by a feature pyramid.

    Image float32 (N, 3, H, W), normalised -> a map of ``out_channels`` per stride, by name.
    """

    def __init__(self, name: str, out_channels: int = 64) -> None:
        super().__init__()
        self.body = frostnas.create_model(name, features_only=True)
        self.fpn = FeaturePyramidNetwork([one.channels for one in self.body.feature_maps], out_channels)
        self.out_channels = out_channels

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = zip(self.body.feature_maps, self.body(image), strict=True)
        return self.fpn(OrderedDict((f"stride_{one.stride}", value) for one, value in maps))  # type: ignore[no-any-return]


def make_detector(name: str = "frostnet_small_0_5") -> FCOS:
    """An FCOS detector of one class beside the background, torchvision's class 0; it looks from the maps' own grids."""
    backbone = PyramidBackbone(name)
    strides = tuple((one.stride,) for one in backbone.body.feature_maps)
    points = AnchorGenerator(strides, ((1.0,),) * len(strides))
    return FCOS(backbone, num_classes=2, anchor_generator=points, min_size=SIDE, max_size=SIDE)


def rectangles(count: int, generator: torch.Generator) -> tuple[list[Tensor], list[Target]]:
    """Noise images (3, SIDE, SIDE) in 0..1 with a rectangle of some colour in each half, and where they are."""
    images, targets = [], []
    for _ in range(count):
        image = torch.rand(3, SIDE, SIDE, generator=generator) * 0.5
        sizes = torch.randint(20, SIDE // 2, (2, 2), generator=generator)  # width, height
        room = torch.tensor([SIDE // 2, SIDE]) - sizes
        corners = (torch.rand(2, 2, generator=generator) * room).long() + torch.tensor([[0, 0], [SIDE // 2, 0]])
        boxes = torch.cat([corners, corners + sizes], dim=1)
        for x1, y1, x2, y2 in boxes.tolist():
            image[:, y1:y2, x1:x2] += torch.rand(3, 1, 1, generator=generator) * 0.5
        images.append(image)
        targets.append({"boxes": boxes.float(), "labels": torch.ones(2, dtype=torch.int64)})
    return images, targets


def train(
    detector: FCOS, optimizer: torch.optim.Optimizer, steps: int, generator: torch.Generator, batch: int = 8
) -> list[float]:
    """Steps on fresh images; the loss of each."""
    detector.train()
    losses = []
    for _ in range(steps):
        loss = sum(detector(*rectangles(batch, generator)).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(detector.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def recall(detector: FCOS, generator: torch.Generator, count: int = 32) -> float:
    """Share of rectangles that overlap one of the two surest boxes of their image with an IoU over 0.5."""
    detector.eval()
    images, targets = rectangles(count, generator)
    found = 0
    for answer, target in zip(detector(images), targets, strict=True):
        found += int((box_iou(target["boxes"], answer["boxes"][:2]) > 0.5).any(1).sum())
    return found / (2 * count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--float-steps", type=int, default=120)
    parser.add_argument("--quant-steps", type=int, default=60)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    detector = make_detector()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=2e-3)
    for state, steps in ((QuantState.OBSERVE, arguments.float_steps), (QuantState.FAKE, arguments.quant_steps)):
        set_state(detector.backbone.body, state)
        losses = train(detector, optimizer, steps, generator)
        print(f"{state.value}: loss {losses[0]:.2f} to {losses[-1]:.2f} in {steps} steps")
    for state in (QuantState.FLOAT, QuantState.FROZEN):
        set_state(detector.backbone.body, state)
        found = recall(detector, torch.Generator().manual_seed(1))
        print(f"backbone {state.value}: {found:.0%} of new rectangles found")


if __name__ == "__main__":
    main()
