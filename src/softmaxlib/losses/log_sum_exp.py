"""The mergeable state behind softmax and cross-entropy."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .._arrays import Array, as_numpy, device_of, foreign_namespace
from .._checks import as_float_array
from .._frameworks import in_kind_of
from ..errors import InvalidInputError

Floats = npt.NDArray[np.float64]


class LogSumExp:
    """Sums of rows of logits that normalise them, gathered chunk by chunk.

    A row's state is its largest logit M, the sum s of exp(x - M) over the other logits, how many there were,
    and the chosen (target's) logit. States of chunks, files, processes or shards of a vocabulary merge, in
    any order, into the state of the whole: softmax is then ``exp(x - value)`` and the cross-entropy `loss`.

    Attributes
    ----------
    maximum : ndarray (rows)
        The largest logit seen, -inf before any.
    others : ndarray (rows)
        Sum of exp(x - maximum) over all but one logit that attains the maximum.
    count : int
        How many logits a row has seen.
    chosen : ndarray (rows)
        The target's logit, NaN until a chunk held it.

    Notes
    -----
    Chunks may be of any library: the state is NumPy's, `value` and `loss` are of the chunks' kind, on their
    device. Computed in float64: `value` and `loss` are within a few ULP (float64) of the whole row's,
    whatever the chunks. Source: Milakov & Gimelshein, "Online normalizer calculation for softmax" (2018).

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
        self._like: Array | None = None  # an empty array of the library, on the device, of the chunks

    @property
    def value(self) -> Floats:
        """log(sum(exp(x))) of each row; -inf of an empty one."""
        return in_kind_of(self._like, self.maximum + np.log1p(self.others))

    @property
    def loss(self) -> Floats:
        """The cross-entropy of each row's chosen logit, accurate for confident rows; NaN without one."""
        return in_kind_of(self._like, np.log1p(self.others) - (self.chosen - self.maximum))

    def update(self, chunk: Array, chosen: Array | None = None) -> "LogSumExp":
        """Take in further logits of each row.

        Parameters
        ----------
        chunk : array_like, shape (..., k)
            Logits; the leading shape is that of the rows, the same in every chunk.
        chosen : array_like of int, shape (...), optional
            Where in this chunk the target's logit is; negative where it is in none of its columns.

        Returns
        -------
        LogSumExp
            The state itself, changed.
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

    def merge(self, other: "LogSumExp") -> "LogSumExp":
        """Take in the state of other logits of the same rows.

        Parameters
        ----------
        other : LogSumExp
            Stays as it is. Where both hold a chosen logit, the other's counts.

        Returns
        -------
        LogSumExp
            The state itself, changed.
        """
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
    """exp(small - large), the rounding error of the difference kept."""
    with np.errstate(invalid="ignore"):
        difference = small - large
        part = difference - small
        lost = (small - (difference - part)) - (large + part)
        return np.exp(difference) * (1 + np.where(np.isfinite(lost), lost, 0.0))
