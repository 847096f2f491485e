"""The temperature of rows that are arrays of another library than NumPy."""

from typing import Any

from .. import _generic
from .._arrays import Array, foreign_namespace, known_values
from .._checks import check_temperature


def usable_temperature(temperature: Array, x: Array, axes: tuple[int, ...], *advice: str) -> Any:
    """Check the temperature of the rows, and raise known ones to what their dtype can divide by.

    JAX takes numbers of a list as float32, and computes with numbers below the normal ones as with 0.
    """
    checked = check_temperature(temperature, x, axes, *advice)
    namespace = foreign_namespace(x)
    if namespace is None or isinstance(checked, float) or known_values(temperature, "temperature") is None:
        return checked
    return _generic.at_least_normal(namespace, checked, checked.dtype)
