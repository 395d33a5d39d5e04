"""Whether an exported file names the classes that the network in torch names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frostnas.config import ExportConfig
from frostnas.data import Images
from frostnas.deploy.formats.base import Classifier

BATCH = 256
TIE = 2
"""Steps of the logits' grid: where rounding is all that differs, each of two logits is off by at most one."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What fake-quant makes of the test images in order."""

    labels: NDArray[np.int64]
    """True classes, (N,)."""
    logits: NDArray[np.float32]
    """(N, classes)."""
    step: float
    """Of the logits' grid."""

    @property
    def fake(self) -> NDArray[np.int64]:
        """Classes that fake-quant names, (N,)."""
        named: NDArray[np.int64] = self.logits.argmax(1)
        return named

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
    tied: NDArray[np.int64]
    """Positions of those of ``apart`` whose two classes are within `TIE` steps in fake-quant: rounding decides them."""

    def shortfall(self, reference: Reference, limits: ExportConfig) -> str:
        """What falls short of the limits by more than one image, ties aside; empty if nothing does."""
        settled = self.named.copy()
        settled[self.tied] = reference.fake[self.tied]
        agreement, top1 = np.mean(settled == reference.fake), np.mean(settled == reference.labels)
        one, lost = 1 / len(settled), reference.top1_fake - top1
        if agreement + one >= limits.min_agreement and lost - one <= limits.max_top1_drop:
            return ""
        return (
            f"agrees with fake-quant on {agreement:.2%} of the test images (at least {limits.min_agreement:.2%} "
            f"wanted), top-1 {top1:.2%} against {reference.top1_fake:.2%} (at most {limits.max_top1_drop:.2%} "
            f"less wanted), {len(self.tied)} near ties counted as in fake-quant"
        )


def named_by_file(model: Classifier, images: Images) -> NDArray[np.int64]:
    """The class that an exported file names for every image in order, int64 (N,)."""
    return np.concatenate([model.logits(batch.cpu().numpy()).argmax(1) for batch, _ in images.batches(BATCH)])


def compare(model: Classifier, test: Images, reference: Reference) -> Parity:
    named = named_by_file(model, test)
    fake = reference.fake
    apart = np.flatnonzero(named != fake)
    lead = reference.logits[apart, fake[apart]] - reference.logits[apart, named[apart]]
    tied = apart[lead < (TIE + 0.5) * reference.step]
    return Parity(float(np.mean(named == fake)), float(np.mean(named == reference.labels)), apart, named, tied)
