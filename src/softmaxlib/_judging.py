"""The compiled pass from logits, or probabilities, to decisions: its arguments and results.

A calibration and a decision rule say of themselves what they are to the pass (`Correction`, `Criterion`);
those that it does not know are computed by their own methods.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _kernels
from ._arrays import FloatArray, allocator

Floats = npt.NDArray[np.float64]


class Correction(NamedTuple):
    """A calibration: x / temperature (0: x itself) or, with an intercept, a linear map of smoothed logits.

    With an intercept z = log((1 - floor) softmax(x / temperature) + floor / classes) becomes
    scale * z + intercept or matrix @ z + intercept.
    """

    temperature: float = 0.0
    floor: float = 0.0
    scale: Floats | None = None
    matrix: Floats | None = None
    intercept: Floats | None = None


class Kind(IntEnum):
    """The kinds of decision that the pass supports."""

    most_likely = 0
    confidence = 1  # the most likely class where its probability reaches the threshold
    thresholds = 2  # the largest probability by its threshold, where it reaches that
    cost = 3  # the least expected cost
    score_sets = 4  # classes whose 1 - p is at most the threshold
    ordered_sets = 5  # the same of the probability of all more likely classes


class Criterion(NamedTuple):
    """A decision rule, in the order of the kernel's arguments."""

    kind: Kind
    threshold: Floats | None = None  # one a class; of `Kind.confidence`, one in all
    cost: Floats | None = None  # (classes, actions)
    tie: float = 0.0  # costs that differ by less are equal
    abstain_cost: float = np.nan  # NaN: a row is never set aside
    own_counts: bool = False  # of ordered sets: the class's own probability counts too
    allow_empty: bool = True
    penalty: float = 0.0  # of ordered sets, for each rank beyond the next
    penalty_rank: int = 0


class Judged(NamedTuple):
    """Results of the pass; `wrong` is the first row that breaks a rule, or -1."""

    wrong: int
    calibrated: FloatArray | None
    probabilities: FloatArray | None
    action: npt.NDArray[np.int64]
    confidence: Floats
    abstained: npt.NDArray[np.bool_]
    expected_cost: Floats | None
    sets: npt.NDArray[np.bool_] | None
    most_likely: npt.NDArray[np.int32] | None
    cheapest: npt.NDArray[np.int64] | None  # the action of least expected cost, of rows set aside too
    cheapest_cost: Floats | None


def judge_logits(
    logits: FloatArray,
    correction: Correction,
    criterion: Criterion,
    calibrated: bool = False,
    probabilities: bool = False,
    most_likely: bool = False,
    cheapest: bool = False,
) -> Judged:
    """Decide rows of logits, float32 or float64, finite or not; optional results only if requested."""
    empty = allocator(len(logits))
    outputs: Any = (
        empty(logits.shape, logits.dtype) if calibrated else None,
        empty(logits.shape, logits.dtype) if probabilities else None,
        *_decision_arrays(empty, logits.shape, criterion),
        empty(len(logits), np.int32) if most_likely else None,
        *_cheapest_arrays(empty, len(logits), cheapest and criterion.kind is Kind.cost),
    )
    return Judged(_kernels.judge(logits, False, 0.0, correction, criterion, outputs), *outputs)


def judge_probabilities(probabilities: FloatArray, criterion: Criterion, sum_tolerance: float) -> Judged:
    """Decide rows of probabilities as they are."""
    empty = allocator(len(probabilities))
    outputs: Any = (None, None, *_decision_arrays(empty, probabilities.shape, criterion), None, None, None)
    return Judged(_kernels.judge(probabilities, True, sum_tolerance, None, criterion, outputs), *outputs)


def _cheapest_arrays(empty: Any, rows: int, wanted: bool) -> tuple[Any, Any]:
    return (empty(rows, np.int64), empty(rows, np.float64)) if wanted else (None, None)


def _decision_arrays(empty: Any, shape: tuple[int, ...], criterion: Criterion) -> tuple[Any, ...]:
    rows = shape[0]
    return (
        empty(rows, np.int64),
        empty(rows, np.float64),
        empty(rows, np.bool_),
        empty(rows, np.float64) if criterion.kind is Kind.cost else None,
        empty(shape, np.bool_) if criterion.kind >= Kind.score_sets else None,
    )
