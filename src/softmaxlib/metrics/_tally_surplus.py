"""Cost of decisions above the expected cost: exact sums over rows, and the test of the promise."""

from typing import NamedTuple

import numpy as np

from ._exact_sums import ExactSums
from ._tally_sums import standard_error
from .normal_mean import LEAST_ROWS
from .predictions import Floats

_ROWS, _WEIGHT, _SQUARES = range(3)
_FIRST, _SECOND, _OF_SQUARES, _THIRD = (
    3,
    5,
    6,
    8,
)  # of w x, w^2 x^2, w^2 x, w^3 x^3; signed ones have two keys
SURPLUS_SUMS = 10


class Surplus(NamedTuple):
    """The mean of what rows cost beyond what was expected.

    Attributes
    ----------
    mean, error : float
        The mean surplus of a row, and its standard error.
    skewness : float
        Of that mean, if it were 0.
    rows : float
        How many rows of equal weight know it as well.
    """

    mean: float
    error: float
    skewness: float
    rows: float

    def p_value(self, fitted_rows: int | None) -> float:
        r"""Return the probability of a mean at least as large if the expected one is 0.

        It is that of the quotient of mean and error, made normal by Hall's transformation. What was expected
        is known only as well as the surplus of `fitted_rows` other rows.

        References
        ----------
        Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54
        (1992).
        """
        from scipy.special import ndtr

        if self.rows < LEAST_ROWS:
            return float("nan")
        if not self.error:
            return 1.0 if self.mean <= 0 else 0.0
        ratio = 0.0 if fitted_rows is None else self.rows / fitted_rows
        quotient = self.mean / (self.error * (1 + ratio) ** 0.5)
        skewness = self.skewness * (1 - ratio**2) / (1 + ratio) ** 1.5
        bend = self.skewness / (1 + ratio) ** 0.5 / 2 - skewness / 6  # the error is that of these rows alone
        normal = quotient + bend * quotient**2 + bend**2 * quotient**3 / 3 + skewness / 6
        return float(ndtr(-normal))


def add_surplus(sums: ExactSums, surplus: Floats, weights: Floats | None) -> None:
    """Add the surplus of rows of positive weights."""
    sums.add_whole(_ROWS, surplus.size)
    every = np.ones(surplus.size, np.bool_)
    squares = None if weights is None else np.square(weights)
    sums.add_some(_WEIGHT, weights, every)
    sums.add_some(_SQUARES, squares, every)
    weighted = surplus if weights is None else surplus * weights
    sums.add_rows(by_sign(weighted), _FIRST)
    sums.add_rows(np.square(weighted)[None], _SECOND)
    sums.add_rows(by_sign(weighted if weights is None else weighted * weights), _OF_SQUARES)
    sums.add_rows(by_sign(weighted**3), _THIRD)


def surplus_of_tally(sums: ExactSums) -> Surplus | None:
    """Return the mean surplus; None where no row came with a cost and an expected one."""
    weight, squares = sums.exact(_WEIGHT), sums.exact(_SQUARES)
    if not weight:
        return None
    first, of_squares, third = (
        sums.exact(key) - sums.exact(key + 1) for key in (_FIRST, _OF_SQUARES, _THIRD)
    )
    mean, second = first / weight, sums.exact(_SECOND)
    return Surplus(
        mean=float(mean),
        error=standard_error(mean, weight, squares, of_squares, second),
        skewness=float(third) / float(second) ** 1.5 if second else 0.0,
        rows=float(weight**2 / squares),
    )


def by_sign(values: Floats) -> Floats:
    """Return the sizes of positive values and those of negative ones, each 0 elsewhere."""
    return np.stack([np.maximum(values, 0.0), np.maximum(-values, 0.0)])
