"""Whether an exported file names the classes that the network in torch names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frostnas.config import ExportConfig
from frostnas.data import Images
from frostnas.deploy.formats.base import Classifier

BATCH = 256


@dataclass(frozen=True, slots=True)
class Reference:
    """Classes of the test images in order, each int64 (N,): the true ones, and those that fake-quant names."""

    labels: NDArray[np.int64]
    fake: NDArray[np.int64]

    @property
    def top1_fake(self) -> float:
        return float(np.mean(self.fake == self.labels))


@dataclass(frozen=True, slots=True)
class Parity:
    """How an exported INT8 file compares with fake-quant; fractions of the test images."""

    agreement: float
    top1: float
    apart: NDArray[np.int64]
    """Positions of the images of which they name different classes, (M,)."""
    named: NDArray[np.int64]
    """Classes that the file names, (N,)."""

    def shortfall(self, reference: Reference, limits: ExportConfig) -> str:
        """What falls short of the limits by more than one image; empty if nothing does."""
        one, lost = 1 / len(reference.labels), reference.top1_fake - self.top1
        if self.agreement + one >= limits.min_agreement and lost - one <= limits.max_top1_drop:
            return ""
        return (
            f"agrees with fake-quant on {self.agreement:.2%} of the test images (at least {limits.min_agreement:.2%} "
            f"wanted), top-1 {self.top1:.2%} against {reference.top1_fake:.2%} (at most {limits.max_top1_drop:.2%} "
            "less wanted)"
        )


def named_by_file(model: Classifier, images: Images) -> NDArray[np.int64]:
    """The class that an exported file names for every image in order, int64 (N,)."""
    return np.concatenate([model.logits(batch.cpu().numpy()).argmax(1) for batch, _ in images.batches(BATCH)])


def compare(model: Classifier, test: Images, reference: Reference) -> Parity:
    named = named_by_file(model, test)
    apart = np.flatnonzero(named != reference.fake)
    return Parity(float(np.mean(named == reference.fake)), float(np.mean(named == reference.labels)), apart, named)
