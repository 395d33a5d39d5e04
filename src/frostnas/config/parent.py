"""The `parent` group: a trained network that the network space is cut out of."""

from __future__ import annotations

from dataclasses import dataclass

from frostnas.config.fields import bounded, listed, place


@dataclass
class ParentConfig:
    """The space is then the parent's own layers and less, in place of what `space.network` draws."""

    net: str | None = place(None)
    """A name that `frostnas zoo` lists, `torchvision:NAME` or `timm:NAME`, or the directory of a finished run; null for
    no parent."""
    weights: str | None = place(None)
    """With a zoo name: its weights, as `train.weights`."""
    kernels: list[int] = listed()
    """Kernels that a layer may choose besides the parent's, where they are smaller: the middle of it."""
    expands: list[float] = listed(1.0)
    """Shares of the parent's hidden channels that a layer may choose: the first of them."""
    widths: list[float] = listed(1.0)
    """Shares of the parent's channels between layers that a stage may choose: the first of them."""
    epochs: int = bounded(9, 0)
    """In floating point with the recipe of `train`, of the parent on the run's images before anything else; 0 takes it
    as it is."""
    image_size: int | None = bounded(None, 8, 1024)
    """Side of the images that it is trained on and teaches with, pixels; null for the largest of the space, or where
    nothing is trained that of the finished run."""
    teaches: bool = True
    """Once it knows the classes it teaches the supernet and, if trained here, the final training."""
