"""What the export saw of a network: the health of its layers, its mistakes, some test images (`inspection.json`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class LayerHealth:
    """One layer's output on some test images, in floating point and on its integer grid."""

    layer: str
    low: float
    high: float
    """Values of the grid's lowest and highest level."""
    bulk_low: float
    bulk_high: float
    """Between them lie all but a thousandth of the floating-point activations at either end."""
    saturated: float
    """Share of the activations that the grid cuts off, as a fraction."""
    snr_db: float
    """Signal to noise: power of the floating-point output over that of its difference to the INT8 one, in dB."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many test images of one class the INT8 file names so."""

    true: int
    named: int
    """Positions among the classes."""
    images: int


@dataclass(frozen=True, slots=True)
class ShownImage:
    """One test image and what the INT8 file says of it."""

    position: int
    """In the test split."""
    true: int
    named: int
    probability: float
    """Softmax of the named class."""
    png: str
    """The picture, base64."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """`inspection.json`, beside `export.json`."""

    KIND: ClassVar[str] = "inspection"
    SCHEMA: ClassVar[int] = 1

    classes: tuple[str, ...]
    images: int
    """Test images that the confusion counts."""
    layers: tuple[LayerHealth, ...]
    """In the order of data flow."""
    layer_images: int
    """Test images that the layers' figures are of."""
    confusion: tuple[Confusion, ...]
    """Only what occurs."""
    shown: tuple[ShownImage, ...]
    """Mistakes first, the surest first; then right ones, the least sure first."""
