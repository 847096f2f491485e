"""The order of numbers, and sums over the first of them, much faster than by comparisons."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .predictions import Floats


def rising_order(values: npt.NDArray) -> npt.NDArray[np.int64]:
    """Return the places of values, none of them NaN, in rising order; equal ones as they come."""
    numbers: Floats = np.ascontiguousarray(values, np.float64)
    places = np.empty(numbers.size, np.int64)
    _kernels.find_order(numbers, places)
    return places


class RankSums(NamedTuple):
    """Sums over the first rows in rising order of their values, one for each rank.

    Attributes
    ----------
    value : array (ranks,)
        The value of the row of that rank.
    rows : array of int (ranks,)
        How many rows come first: up to and with that one, or with all of its value.
    sum : array (ranks,)
        The sum of their column.
    different : int
        A number of different values that there are at least.
    """

    value: Floats
    rows: npt.NDArray[np.int64]
    sum: Floats
    different: int


def sum_to_ranks(
    values: Floats, column: npt.NDArray[Any], ranks: npt.NDArray[np.int64], *, whole_ties: bool
) -> RankSums:
    """Return sums over the first rows in rising order of their values, without sorting the rows.

    Parameters
    ----------
    values : array of float64 (rows,)
        None of them NaN. Rows of one value are in the order of their places.
    column : array of bool or float64 (rows,)
        What is summed.
    ranks : array of int (ranks,)
        In rising order, from 0.
    whole_ties : bool
        Whether the rows of the value at a rank count together.
    """
    outputs = np.empty(ranks.size), np.empty(ranks.size, np.int64), np.empty(ranks.size)
    rows = np.ascontiguousarray(values, np.float64), np.ascontiguousarray(column)
    return RankSums(*outputs, _kernels.sum_to_ranks(*rows, ranks, whole_ties, outputs))
