"""What scores of some blocks say about the others: a Gaussian process over the slots in which blocks agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Code = tuple[int, ...]
Values = npt.NDArray[np.float64]
KEPT = 0.8  # correlation that is left of two blocks per slot in which they differ
NOISE = 0.1  # share of the scores' variance that training again would change


def predict(known: Mapping[Code, float], wanted: Sequence[Code]) -> tuple[Values, Values]:
    """Mean and standard deviation of what every wanted block would score, float64 (M,) each."""
    codes, scores = np.array(list(known)), np.array(list(known.values()))  # (N, slots), (N,)
    centre, spread = scores.mean(), scores.std() or 1.0
    between = _correlation(np.array(wanted), codes)  # (M, N)
    weights = np.linalg.solve(_correlation(codes, codes) + NOISE * np.eye(len(codes)), between.T)  # (N, M)
    left = np.clip(1 - (between * weights.T).sum(1), 0, None)
    return centre + weights.T @ (scores - centre), spread * np.sqrt(left)


def _correlation(some: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Values:
    """(M, slots) and (N, slots) -> (M, N)."""
    apart = (some[:, None, :] != others[None, :, :]).sum(2)
    kept: Values = KEPT ** apart.astype(np.float64)
    return kept
