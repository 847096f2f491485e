"""The interval of a mean by the normal law."""

import numpy as np

from .predictions import Floats

LEAST_ROWS = 30  # fewer say little about the spread of a mean
_Z = 1.959963984540054  # quantile of the normal law at 0.975


def normal_half(error: Floats | float, rows: float) -> Floats:
    """Return half the width of the 95% interval of a mean with this standard error; NaN for too few rows."""
    return np.multiply(error, _Z if rows >= LEAST_ROWS else np.nan)


def normal_interval(
    mean: float, error: float, rows: float, least: float = -np.inf, largest: float = np.inf
) -> tuple[float, float]:
    """Return the 95% interval of a mean, within its range; NaN for too few rows."""
    half = float(normal_half(error, rows))
    return max(mean - half, least), min(mean + half, largest)
