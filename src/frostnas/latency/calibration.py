"""From the times of parts to the time of a network: three coefficients, fitted on whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr

from frostnas.artifacts import Calibration, Validation


@dataclass(frozen=True, slots=True)
class Sample:
    """A whole network: the sums over its parts, and its own measured latency, in ms."""

    hot: float
    round_robin: float
    parts: int
    measured: float


def _design(samples: Sequence[Sample]) -> NDArray[np.float64]:
    return np.array([[one.hot, one.round_robin, one.parts] for one in samples])


def fit(samples: Sequence[Sample]) -> Calibration:
    """Non-negative coefficients with the least squared relative error."""
    measured = np.array([one.measured for one in samples])
    coefficients, _ = nnls(_design(samples) / measured[:, None], np.ones(len(samples)))
    return Calibration(*(float(value) for value in coefficients))


def predict(calibration: Calibration, sample: Sample) -> float:
    """Latency in ms."""
    return (
        calibration.hot * sample.hot
        + calibration.round_robin * sample.round_robin
        + calibration.per_block_ms * sample.parts
    )


def validate(calibration: Calibration, samples: Sequence[Sample]) -> Validation:
    """Errors of the prediction on ``samples``."""
    predicted = np.array([predict(calibration, one) for one in samples])
    measured = np.array([one.measured for one in samples])
    errors = np.abs(predicted / measured - 1)
    return Validation(
        networks=len(samples),
        mean_error=float(errors.mean()),
        p95_error=float(np.percentile(errors, 95)),
        max_error=float(errors.max()),
        spearman=_rank_correlation(predicted, measured),
    )


def _rank_correlation(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Spearman's coefficient; 0, as of chance, where all values of one side are equal and none is defined."""
    if np.ptp(predicted) == 0 or np.ptp(measured) == 0:
        return 0.0
    return float(spearmanr(predicted, measured).statistic)
