"""The mergeable state of softmax and cross-entropy."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .._arrays import Array, as_numpy, device_of, foreign_namespace
from .._checks import as_float_array
from .._frameworks import in_kind_of
from .._text import shortened
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError, UnsupportedTypeError

Floats = npt.NDArray[np.float64]


class LogSumExp:
    """Log-sum-exp of rows of logits that arrive in chunks.

    The state of a row is its largest logit M, the sum s of exp(x - M) over the other logits, their number,
    and the logit of the target. States of chunks, files, processes or shards of a vocabulary can be merged in
    any order. Then softmax is ``exp(x - value)``, and the cross-entropy is `loss`.

    Attributes
    ----------
    maximum : ndarray (rows)
        The largest logit so far, or -inf before the first.
    others : ndarray (rows)
        Sum of exp(x - maximum) over all logits except one at the maximum.
    count : int
        Number of logits per row so far.
    chosen : ndarray (rows)
        The logit of the target, or NaN before its chunk arrived.

    Notes
    -----
    Chunks may be arrays of any library. The state is kept in NumPy, and `value` and `loss` have the array
    type and device of the chunks. The computation is in float64: `value` and `loss` are within a few ULP
    (float64) of those of the whole row, for any chunks. Source: Milakov & Gimelshein, "Online normalizer
    calculation for softmax" (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import LogSumExp
    >>> logits = np.array([[2.0, 1.0, 0.1]])
    >>> state = LogSumExp()
    >>> for start in range(3):
    ...     state = state.update(logits[:, start : start + 1], chosen=[0 if start == 1 else -1])
    >>> state.value
    array([2.41703002])
    >>> state.loss
    array([1.41703002])
    """

    def __init__(self) -> None:
        self.maximum: Floats = np.array(-np.inf)
        self.others: Floats = np.array(0.0)
        self.chosen: Floats = np.array(np.nan)
        self.count = 0
        self._like: Array | None = None  # an empty array of the library and device of the chunks

    @property
    @underflow_is_zero
    def value(self) -> Floats:
        """The logarithm log(sum(exp(x))) of each row, or -inf for an empty row."""
        return in_kind_of(self._like, self.maximum + np.log1p(self.others))

    @property
    @underflow_is_zero
    def loss(self) -> Floats:
        """The cross-entropy of each row, accurate for confident rows, or NaN without a target."""
        return in_kind_of(self._like, np.log1p(self.others) - (self.chosen - self.maximum))

    @underflow_is_zero
    def update(self, chunk: Array, chosen: Array | None = None) -> "LogSumExp":
        """Add logits to each row.

        Parameters
        ----------
        chunk : array_like, shape (..., k)
            Logits. The leading shape is that of the rows, and must be the same in every chunk.
        chosen : array_like of int, shape (...), optional
            Column of the target in this chunk, or a negative number if it is in another chunk.

        Returns
        -------
        LogSumExp
            This object, updated in place.
        """
        logits = as_float_array(chunk, "chunk")
        if logits.ndim == 0:
            raise InvalidInputError("chunk must have the classes on its last axis, got a single number")
        namespace = foreign_namespace(chunk)
        if namespace is not None:
            self._like = namespace.empty((0,), device=device_of(chunk))
        part = LogSumExp()
        shape, part.count = logits.shape[:-1], logits.shape[-1]
        if part.count == 0:
            return self
        rows = logits.reshape(-1, part.count)
        if rows.dtype.char not in "efd":
            rows = rows.astype(np.float64)
        largest, others = _state_of_rows(rows)
        part.maximum, part.others = largest.reshape(shape), others.reshape(shape)
        part.chosen = _pick(rows, chosen, shape)
        return self.merge(part)

    @underflow_is_zero
    def merge(self, other: "LogSumExp") -> "LogSumExp":
        """Merge the state of other logits of the same rows.

        Parameters
        ----------
        other : LogSumExp
            The other state, which is not changed. If both have a target, that of the other state counts.

        Returns
        -------
        LogSumExp
            This object, updated in place.
        """
        if not isinstance(other, LogSumExp):
            raise UnsupportedTypeError(
                f"other must be a LogSumExp, got {shortened(repr(other), 200)}; update(chunk) adds logits"
            )
        if self.count and other.count and self.maximum.shape != other.maximum.shape:
            raise InvalidInputError(
                f"states merge row by row: their rows must have one shape, got {self.maximum.shape} and "
                f"{other.maximum.shape}"
            )
        first = self.maximum >= other.maximum
        large, small = np.maximum(self.maximum, other.maximum), np.minimum(self.maximum, other.maximum)
        large_others = np.where(first, self.others, other.others)
        small_others = np.where(first, other.others, self.others)
        alone = (small == -np.inf) | (large == np.inf)
        share = np.where(alone, 0.0, (1 + small_others) * _exp_difference(small, large))
        self.others = large_others + share
        self.maximum = large
        self.chosen = np.where(np.isnan(other.chosen), self.chosen, other.chosen)
        self.count += other.count
        self._like = other._like if self._like is None else self._like
        return self


def _state_of_rows(rows: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    # The loss of the largest logit is log1p(others), to the last digit.
    label = rows.argmax(axis=1)
    losses = np.empty(rows.shape[0])
    _kernels.cross_entropy_rows(rows, label, None, None, None, 0.0, 0.0, 0.0, 1.0, losses, None)
    largest = rows[np.arange(rows.shape[0]), label].astype(np.float64)
    return largest, np.where(np.isinf(largest), 0.0, np.expm1(losses))


def _pick(rows: npt.NDArray[Any], chosen: Array | None, shape: tuple[int, ...]) -> Floats:
    if chosen is None:
        return np.full(shape, np.nan)
    index = as_numpy(chosen, "chosen")
    if index.shape != shape or index.dtype.kind not in "iu" or (index >= rows.shape[1]).any():
        raise InvalidInputError(
            f"chosen must be integers of shape {shape} below the chunk's {rows.shape[1]} columns, got "
            f"{index.dtype} of shape {index.shape}; use -1 where the target is in another chunk"
        )
    flat = index.reshape(-1)
    picked = rows[np.arange(rows.shape[0]), np.maximum(flat, 0)].astype(np.float64)
    return np.where(flat < 0, np.nan, picked).reshape(shape)


def _exp_difference(small: Floats, large: Floats) -> Floats:
    """Compute exp(small - large), with the rounding error of the difference."""
    with np.errstate(invalid="ignore"):
        difference = small - large
        part = difference - small
        lost = (small - (difference - part)) - (large + part)
        return np.exp(difference) * (1 + np.where(np.isfinite(lost), lost, 0.0))
