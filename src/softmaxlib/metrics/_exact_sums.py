"""Sums of many numbers by key without rounding, equal for any order and any split."""

import re
from fractions import Fraction
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _json
from ..errors import FileFormatError
from .predictions import Floats

_UNIT = 1074  # every float64 is a whole multiple of 2^-1074
_MANTISSA = 53
_LOW = 26  # bits that are summed apart, so that float64 sums of a block are exact
_DENSE = 1 << 18  # sums are looked up up to here, and sorted out beyond
_BLOCK = 1 << 20
_LARGEST_POWER = 1100
_WRITTEN = re.compile(r"0x([0-9a-f]{1,600})p(-?[0-9]{1,4})")


class ExactSums:
    """A sum for each key, as a whole multiple of 2^-1074.

    Every float64 is such a multiple. So nothing is rounded until a sum is asked for, and then once.
    """

    def __init__(self) -> None:
        self._totals: dict[int, int] = {}

    def add(self, keys: npt.NDArray[np.int64], values: Floats) -> None:
        """Add finite values to the sums of their keys, which are not negative and below 2^51."""
        for start in range(0, values.size, _BLOCK):
            self._add(keys[start : start + _BLOCK], values[start : start + _BLOCK])

    def _add(self, keys: npt.NDArray[np.int64], values: Floats) -> None:
        fraction, exponent = np.frexp(values)
        whole = np.ldexp(fraction, _MANTISSA).astype(np.int64)
        shift = exponent.astype(np.int64) - _MANTISSA + _UNIT
        whole >>= np.maximum(-shift, 0)  # of subnormal numbers: these bits are 0
        shift = np.maximum(shift, 0)
        least, span = int(shift.min()), int(np.ptp(shift)) + 1
        place = keys * span + (shift - least)
        if int(place.max()) < max(_DENSE, 2 * place.size):
            places = np.flatnonzero(np.bincount(place))
            found = places
        else:
            places, place = np.unique(place, return_inverse=True)
            found = np.arange(places.size)
        high = np.bincount(place, whole >> _LOW)[found]
        low = np.bincount(place, whole & ((1 << _LOW) - 1))[found]
        for at, upper, lower in zip(places.tolist(), high.tolist(), low.tolist(), strict=True):
            key, by = divmod(at, span)
            total = ((int(upper) << _LOW) + int(lower)) << (by + least)
            self._totals[key] = self._totals.get(key, 0) + total

    def merge(self, other: "ExactSums") -> None:
        """Add the sums of another."""
        for key, total in other._totals.items():
            self._totals[key] = self._totals.get(key, 0) + total

    def exact(self, key: int = 0) -> Fraction:
        """Return the sum of a key, as it is."""
        return Fraction(self._totals.get(key, 0), 1 << _UNIT)

    def known_keys(self) -> list[int]:
        """Return the keys that something was added to, in rising order."""
        return sorted(self._totals)

    def array(self, keys: int) -> Floats:
        """Return the sums of the keys below a number, each rounded once."""
        return np.array([float(self.exact(key)) for key in range(keys)])

    def to_dict(self) -> dict[str, str]:
        """Return sums by key, as hexadecimal numbers such as ``0x1f4p-3`` that keep every bit."""
        return {str(key): _reduced(self._totals[key]) for key in self.known_keys()}

    @classmethod
    def from_dict(cls, content: Any, place: str, keys: int) -> Self:
        """Read back what `to_dict` wrote; nothing in it is trusted."""
        if not isinstance(content, dict):
            raise FileFormatError(f"{place} must be a JSON object; {_json.ADVICE}")
        made = cls()
        for text, written in content.items():
            known = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 17
            if not known or int(text) >= keys:
                raise FileFormatError(f"{place} must have keys in 0 to {keys - 1}; {_json.ADVICE}")
            found = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
            if found is None or not -_UNIT <= int(found[2]) <= _LARGEST_POWER:
                raise FileFormatError(f"{place} must hold sums such as '0x1f4p-3'; {_json.ADVICE}")
            made._totals[int(text)] = int(found[1], 16) << (int(found[2]) + _UNIT)
        return made


def _reduced(total: int) -> str:
    if not total:
        return "0x0p0"
    zeros = (total & -total).bit_length() - 1
    return f"{hex(total >> zeros)}p{zeros - _UNIT}"
