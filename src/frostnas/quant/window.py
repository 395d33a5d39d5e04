"""Where the window of a strided convolution or pool starts: frameworks pad an even side in two ways."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Window:
    """A square window that moves over a map; with either padding only the stride makes the map smaller."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: str = "symmetric"
    """`symmetric`, or `same`: as TensorFlow pads, no more than is needed, and the odd pixel at the end."""

    def pads(self, side: int) -> tuple[int, int]:
        """Pixels before and after each row and column of a map of ``side`` pixels."""
        reach = self.dilation * (self.kernel - 1)
        if self.padding == "symmetric":
            return reach // 2, reach // 2
        needed = max((-(-side // self.stride) - 1) * self.stride + reach + 1 - side, 0)
        return needed // 2, needed - needed // 2

    def padded(self, x: Tensor, value: float = 0.0) -> tuple[Tensor, tuple[int, int]]:
        """(N, C, H, W) with what has to be added where the two ends differ, and the padding of both ends that is left.

        Nothing is copied where the ends are alike.
        """
        (top, bottom), (left, right) = self.pads(x.shape[2]), self.pads(x.shape[3])
        if (top, left) == (bottom, right):
            return x, (top, left)
        return F.pad(x, (left, right, top, bottom), value=value), (0, 0)
