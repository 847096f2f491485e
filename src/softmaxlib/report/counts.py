"""Counts of rows: whole numbers, or sums of weights."""

from typing import Any

import numpy.typing as npt

Counts = npt.NDArray[Any]
