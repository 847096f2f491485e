"""Sums of many numbers by key without rounding, equal for any order and any split."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _json, _kernels
from ..errors import FileFormatError
from .predictions import Floats

_UNIT = 1074  # every float64 is a whole multiple of 2^-1074
_ONE = 1 << _UNIT
_BLOCK = 1 << 20
_KEYS_OF_A_ROW = 16  # that a dense count may have
_LARGEST_POWER = 1100
_WRITTEN = re.compile(r"0x([0-9a-f]{1,600})p(-?[0-9]{1,4})")


class ExactSums:
    """A sum for each key, as a whole multiple of 2^-1074.

    Every float64 is such a multiple. So nothing is rounded until a sum is asked for, and then once.
    """

    def __init__(self) -> None:
        self._totals: dict[int, int] = {}
        self._counts = np.zeros(0, np.int64)  # by key: whole numbers that are not yet in the totals

    def count(self, keys: npt.NDArray[np.int64], size: int) -> None:
        """Add 1 to the sum of each of these keys, all below `size`."""
        if size > keys.size * _KEYS_OF_A_ROW:  # memory does not grow beyond that of the rows
            names, counts = np.unique(keys, return_counts=True)
            for key, count in zip(names.tolist(), counts.tolist(), strict=True):
                self._totals[key] = self._totals.get(key, 0) + (count << _UNIT)
        else:
            self.add_counts(np.bincount(keys, minlength=size))

    def add(self, keys: npt.NDArray[np.int64], values: Floats, offsets: Sequence[int] = (0,)) -> None:
        """Add finite values to the sums of their keys plus each offset; these are in 0 to 2^51."""
        for start in range(0, values.size, _BLOCK):
            self._add(keys[start : start + _BLOCK], values[start : start + _BLOCK], offsets)

    def weigh(
        self,
        keys: npt.NDArray[np.int64],
        size: int,
        weights: Floats | None,
        some: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Add the weights of rows, or their number, to the sums of their keys, all below `size`.

        With `some`, only those rows are added.
        """
        if some is not None:
            keys, weights = keys[some], None if weights is None else weights[some]
        if not keys.size:
            return
        if weights is None:
            self.count(keys, size)
        else:
            self.add(keys, weights)

    def add_some(self, key: int, weights: Floats | None, some: npt.NDArray[np.bool_]) -> None:
        """Add the weights of some rows, or their number, to the sum of one key."""
        if weights is None:
            self.add_whole(key, int(np.count_nonzero(some)))
        else:
            self.add_rows(np.where(some, weights, 0.0)[None], key)

    def add_whole(self, key: int, number: int) -> None:
        """Add a whole number to the sum of a key."""
        self._totals[key] = self._totals.get(key, 0) + (number << _UNIT)

    def add_rows(self, table: Floats, *first_keys: int) -> None:
        """Add the finite values of each row to the sum of its own key, from the first one on."""
        found = _kernels.sum_rows(np.ascontiguousarray(table, np.float64))
        self._put(found, None, first_keys or (0,))

    def _add(self, keys: npt.NDArray[np.int64], values: Floats, offsets: Sequence[int]) -> None:
        found = _kernels.sum_by_key(*_contiguous(keys, values), int(keys.max()) + 1)
        if found is not None:
            return self._put(found, None, offsets)
        names, places = np.unique(keys, return_inverse=True)  # too many for a table: those that occur
        found = _kernels.sum_by_key(*_contiguous(places, values), names.size)
        if found is not None:
            return self._put(found, names, offsets)
        half = keys.size // 2
        self._add(keys[:half], values[:half], offsets)
        self._add(keys[half:], values[half:], offsets)

    def _put(self, found: bytes, names: npt.NDArray[np.int64] | None, offsets: Sequence[int] = (0,)) -> None:
        """Add the sums of the kernel: key, shift and a whole number of 128 bits."""
        keys, shifts, highs, lows = np.frombuffer(found, np.int64).reshape(-1, 4).T
        every = (keys if names is None else names[keys], shifts, highs, lows.view(np.uint64))
        for key, shift, high, low in zip(*(part.tolist() for part in every), strict=True):
            total = ((high << 64) + low) << shift
            for place in offsets:
                self._totals[key + place] = self._totals.get(key + place, 0) + total

    def add_counts(self, counts: npt.NDArray[np.int64]) -> None:
        """Add a whole number to the sum of each key from 0 on."""
        if counts.size > self._counts.size:
            self._counts, counts = counts, self._counts
        self._counts[: counts.size] += counts

    def merge(self, other: "ExactSums") -> None:
        """Add the sums of another."""
        for key, total in other._totals.items():
            self._totals[key] = self._totals.get(key, 0) + total
        self.add_counts(other._counts.copy())

    def exact(self, key: int = 0) -> Fraction:
        """Return the sum of a key, as it is."""
        return Fraction(self._total(key), _ONE)

    def _total(self, key: int) -> int:
        """Return how many times 2^-1074 the sum of a key is."""
        counted = int(self._counts[key]) << _UNIT if key < self._counts.size else 0
        return self._totals.get(key, 0) + counted

    def known_keys(self) -> list[int]:
        """Return the keys whose sums are not 0, in rising order."""
        counted = np.flatnonzero(self._counts).tolist()
        return sorted(set(counted).union(key for key, total in self._totals.items() if total))

    def array(self, keys: int | list[int]) -> Floats:
        """Return the sums of some keys, or of all below a number, each rounded once."""
        wanted = range(keys) if isinstance(keys, int) else keys
        if self._totals:
            return np.array([self._total(key) / _ONE for key in wanted])  # rounded once
        found = np.zeros(max(self._counts.size, max(wanted, default=0) + 1))
        found[: self._counts.size] = self._counts
        return found[list(wanted)]

    def to_dict(self) -> dict[str, str]:
        """Return sums by key, as hexadecimal numbers such as ``0x1f4p-3`` that keep every bit."""
        return {str(key): _reduced(self._total(key)) for key in self.known_keys()}

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


def _contiguous(keys: npt.NDArray[np.int64], values: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    return np.ascontiguousarray(keys, np.int64), np.ascontiguousarray(values, np.float64)


def _reduced(total: int) -> str:
    zeros = (total & -total).bit_length() - 1
    return f"{hex(total >> zeros)}p{zeros - _UNIT}"
