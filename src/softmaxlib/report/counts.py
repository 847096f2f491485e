"""How many rows: whole numbers, or the sums of their weights."""

from typing import Any

import numpy.typing as npt

Counts = npt.NDArray[Any]
