"""The interval of a mean by the normal law, and how much wider a few heavy rows make an interval."""

import numpy as np

from .predictions import Floats

LEAST_ROWS = 30  # fewer say little about the spread of a mean
_Z = 1.959963984540054  # quantile of the normal law at 0.975
_LEAST_DEGREES = 0.05  # of fewer, an interval is as wide as can be


def stretch_of(weights: Floats, level: float) -> float:
    r"""Return by how much the interval of a figure of weighted rows is wider than one of normal law.

    The variance of a weighted mean is a sum of the terms :math:`w^2 (x - \bar{x})^2`. A few heavy rows make
    up most of it, and know it badly: by Satterthwaite's rule it has :math:`(\sum w^2)^2 / \sum w^4 - 1`
    degrees of freedom. It is the quantile of Student's t law with these, divided by that of as many rows of
    equal weight: 1 where all weights are equal.

    Parameters
    ----------
    weights : array, shape (rows,)
        Not all 0.
    level : float
        That of the interval.

    References
    ----------
    Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
    (1946).
    """
    squares = np.square(weights[weights > 0] / weights.max())
    return stretch_by_degrees(squares.sum() ** 2 / (squares @ squares), squares.size, level)


def stretch_by_degrees(equal_rows: float, rows: int, level: float = 0.95) -> float:
    """Return the same, for a variance known as well as that of this many rows of equal weight."""
    from scipy.special import stdtrit

    if rows < 2 or equal_rows > rows * (1 - 1e-9):
        return 1.0
    degrees = np.array([max(equal_rows - 1, _LEAST_DEGREES), rows - 1])
    own, usual = stdtrit(degrees, (1 + level) / 2)
    return float(own / usual)


def normal_half(error: Floats | float, rows: float) -> Floats:
    """Return half the width of the 95% interval of a mean with this standard error; NaN for too few rows."""
    return np.multiply(error, _Z if rows >= LEAST_ROWS else np.nan)


def normal_interval(
    mean: float,
    error: float,
    rows: float,
    least: float = -np.inf,
    largest: float = np.inf,
    stretch: float = 1.0,
) -> tuple[float, float]:
    """Return the 95% interval of a mean, within its range; NaN for too few rows.

    `stretch` is that of `stretch_of`.
    """
    half = float(normal_half(error, rows)) * stretch
    return max(mean - half, least), min(mean + half, largest)
