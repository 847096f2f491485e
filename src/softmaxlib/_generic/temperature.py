"""The temperature that rows are divided by."""

from types import ModuleType
from typing import Any

from .._arrays import Array


def at_least_normal(xp: ModuleType, temperature: Array, dtype: Any) -> Array:
    """Return the temperature, raised to the smallest normal number of the dtype to compute in.

    A smaller one may become 0 there, and 0 / 0 is NaN. The result has long reached its limit.
    """
    smallest = float(xp.finfo(dtype).smallest_normal)
    if isinstance(temperature, (int, float)):
        return max(temperature, smallest)
    return xp.where(temperature < smallest, smallest, temperature)
