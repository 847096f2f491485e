"""Predictions: checked values, labels and weights, which every metric starts from, read in blocks of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _arrays, _checks, _kernels
from .._arrays import Array, allocator
from .._checks.class_labels import BY_ARGUMENT, Unnamed, check_class_names, check_columns
from .._checks.weights import describe_few_counted
from ..activations import logsumexp, softmax
from ._undefined import warn_of_figure

Floats = npt.NDArray[np.float64]

# 8 MiB of float64 per block, so that the temporaries of a block stay near the cache
_BLOCK_ELEMENTS = 2**20
_ROWS_AT_ONCE = 2**14
CLASSES_AT_ONCE = 16  # the most that are counted at once: their cells stay in the cache

# What one pass over the rows gives, in the order of the kernel's outputs.
FIGURES: dict[str, Any] = {
    "most_likely": np.int64,  # the first of the highest classes of each row, as `numpy.argmax` chooses it
    "correct": np.bool_,  # whether that is the true class
    "confidence": np.float64,  # its probability
    "doubt": np.float64,  # the probability of all others
    "log_loss": np.float64,
    "brier_score": np.float64,
}


@dataclass(frozen=True)
class Predictions:
    """Logits, or probabilities where so declared, with their labels and weights, all checked."""

    values: _arrays.FloatArray
    labels: _arrays.IntArray
    sample_weight: Floats | None
    are_probabilities: bool
    known: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    sums: dict[Any, Any] = field(default_factory=dict)  # by bins of the highest probability

    @classmethod
    def check(
        cls,
        values: Array,
        labels: Array,
        sample_weight: Array | None,
        probabilities: bool,
        *figures: str,
        class_names: Sequence[str] | None = None,
        unnamed: Unnamed = BY_ARGUMENT,
    ) -> "Predictions":
        """Reject input that breaks a rule; the same pass computes the requested figures of each row.

        `unnamed` says what is done with labels that are names, without `class_names` and without a frame.
        """
        name = "probabilities" if probabilities else "logits"
        checked = _checks.check_rows(values, name, probabilities=probabilities)
        rows, classes = checked.shape
        _checks.warn_of_row_order(values, labels=labels, sample_weight=sample_weight)
        weights = _checks.check_sample_weight(sample_weight, rows)
        if class_names is None:
            names = _checks.classes_of_columns(values)
        else:
            names = check_class_names(class_names, classes)
            check_columns(values, names, "of class_names")
        truth = _checks.check_labels(labels, rows, classes, class_names=names, unnamed=unnamed)
        truth = np.ascontiguousarray(truth)
        tolerance = _checks.tolerance_of(values, checked)
        known = {one: allocator(rows)(rows, FIGURES[one]) for one in figures}
        if _pass(checked, truth, probabilities, tolerance, known) >= 0:
            if probabilities:
                _checks.refuse_improbable(checked, tolerance)
            else:
                _checks.refuse_infinite(checked)
        if not probabilities:
            _checks.warn_of_probabilities(checked, "pass probabilities=True with probabilities")
        return cls(checked, truth, weights, probabilities, known)

    @classmethod
    def of_logits(
        cls, logits: _arrays.FloatArray, labels: _arrays.IntArray, sample_weight: Floats | None = None
    ) -> "Predictions":
        """Take checked logits, labels and weights; every figure of a row comes from one pass over them."""
        predictions = cls(logits, np.ascontiguousarray(labels, np.int64), sample_weight, False)
        empty = allocator(labels.size)
        predictions.known.update({name: empty(labels.size, kind) for name, kind in FIGURES.items()})
        _pass(logits, predictions.labels, False, np.inf, predictions.known)
        return predictions

    def figure(self, name: str) -> npt.NDArray[Any]:
        """Return one figure per row, shape (rows,): see `FIGURES`."""
        if name not in self.known:
            self.known[name] = allocator(self.labels.size)(self.labels.size, FIGURES[name])
            _pass(self.values, self.labels, self.are_probabilities, np.inf, {name: self.known[name]})
        return self.known[name]

    @cached_property
    def weights(self) -> Floats:
        """The weight of each row, 1 where none was given."""
        return np.ones(self.labels.size) if self.sample_weight is None else self.sample_weight

    def warn_of_few_counted(self, figure: str) -> None:
        """Warn if weights count far fewer rows than there are, for a figure that depends on their number."""
        weights = self.sample_weight
        if weights is None:
            return
        message = describe_few_counted(float(weights.sum()), int(np.count_nonzero(weights)), figure)
        if message is not None:
            warn_of_figure(message)

    def part(self, some: npt.NDArray[np.bool_]) -> "Predictions":
        """Return some of the rows, with their figures."""
        weights = None if self.sample_weight is None else self.sample_weight[some]
        known = {name: values[some] for name, values in self.known.items()}
        return Predictions(self.values[some], self.labels[some], weights, self.are_probabilities, known)

    def mean(self, row_values: npt.NDArray) -> float:
        """Return the weighted mean of one value per row. Rows of weight 0 never count."""
        if self.sample_weight is not None:
            return weighted_mean(row_values, self.sample_weight)
        if row_values.dtype == np.bool_:
            return float(np.count_nonzero(row_values) / row_values.size)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(row_values.sum(dtype=np.float64) / row_values.size)
        return mean if np.isfinite(mean) else weighted_mean(row_values, self.weights)

    def probabilities(self) -> Iterator[tuple[slice, Floats]]:
        """Yield new float64 probabilities, a block of rows at a time."""
        for rows in row_blocks(self.values):
            block = self.values[rows].astype(np.float64)
            yield rows, block if self.are_probabilities else softmax(block)

    def class_probabilities(self) -> Iterator[tuple[int, slice, Floats]]:
        """Yield the probability of some classes in some rows (classes, rows), with the first class."""
        most_likely, confidence = self.figure("most_likely"), self.figure("confidence")
        for start in range(0, self.labels.size, _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            rows = self.values[some], self.are_probabilities, most_likely[some], confidence[some]
            for first in range(0, self.values.shape[1], CLASSES_AT_ONCE):
                classes = min(CLASSES_AT_ONCE, self.values.shape[1] - first)
                table = np.empty((classes, len(rows[0])))
                _kernels.count_cells(*rows, self.labels[some], first, 1.0, 0.0, (None, None, None, table))
                yield first, some, table

    def columns(self) -> Iterator[Floats]:
        """Yield the float64 probabilities of one class after the other, shape (rows,)."""
        normaliser = self._normaliser()
        for column in self.values.T:
            yield _column(column, normaliser)

    def column(self, label: int) -> Floats:
        """Return the float64 probability of one class, shape (rows,)."""
        return _column(self.values[:, label], self._normaliser())

    def _normaliser(self) -> Floats | None:
        if self.are_probabilities:
            return None
        normaliser = np.empty(self.labels.size)
        for rows in row_blocks(self.values):
            normaliser[rows] = logsumexp(self.values[rows].astype(np.float64), axis=1)
        return normaliser


class TopLabel(NamedTuple):
    """The class predicted in each row, its probability, and whether it is the true one."""

    predicted: npt.NDArray[np.int64]
    confidence: Floats
    correct: npt.NDArray[np.bool_]


def _column(values: npt.NDArray, normaliser: Floats | None) -> Floats:
    column = values.astype(np.float64)
    return np.minimum(column if normaliser is None else np.exp(column - normaliser), 1.0)


def check_values(values: Array, probabilities: bool) -> _arrays.FloatArray:
    """Check logits, or probabilities if declared as such."""
    if probabilities:
        return _checks.check_probabilities(values)
    logits = _checks.check_logits(values)
    _checks.warn_of_probabilities(logits, "pass probabilities=True with probabilities")
    return logits


def row_blocks(values: npt.NDArray) -> Iterator[slice]:
    """Yield slices of rows that keep the temporaries of a block small."""
    size = max(1, _BLOCK_ELEMENTS // values.shape[1])
    for start in range(0, values.shape[0], size):
        yield slice(start, min(start + size, values.shape[0]))


def weighted_mean(values: npt.NDArray, weights: Floats) -> float:
    """Return the weighted mean. A value of weight 0 does not count, even if it is infinite."""
    counts = weights > 0
    values, weights = values[counts].astype(np.float64, copy=False), weights[counts]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.average(values, weights=weights))
    if np.isfinite(mean) or not np.isfinite(values).all():
        return mean
    largest = np.abs(values).max()  # the sum alone is beyond the largest number, the mean is not
    return float(largest * min(1.0, np.average(values / largest, weights=weights / weights.max())))


def _pass(
    values: _arrays.FloatArray,
    labels: _arrays.IntArray,
    probabilities: bool,
    tolerance: float,
    wanted: dict[str, npt.NDArray[Any]],
) -> int:
    """Compute the requested figures of each row; return the first row that breaks a rule, or -1."""
    outputs = tuple(wanted.get(name) for name in FIGURES)
    return _kernels.score(values, probabilities, tolerance, labels, outputs)


def top_label(predictions: Predictions) -> TopLabel:
    """Return the first of the highest classes of each row, as `numpy.argmax` chooses it."""
    # from the values as given: two logits may differ where their rounded probabilities do not
    most_likely, confidence, correct = map(predictions.figure, ("most_likely", "confidence", "correct"))
    return TopLabel(most_likely, confidence, correct)
