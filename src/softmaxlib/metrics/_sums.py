"""The metrics that depend on the rows through sums alone, so that the rows can be drawn again cheaply."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._bins import BinSums, bin_index, group_sums, sum_bins
from ._class_counts import ClassCounts, ClassShare, check_average, count_groups
from .accuracy import accuracy, label_ranks, top_k_accuracy
from .balanced_accuracy import balanced_accuracy, balanced_accuracy_of
from .brier_score import brier_score, row_brier_scores
from .calibration_error import (
    Setting,
    calibration_error,
    check_setting,
    error_of_sums,
    join_classes,
    judged,
)
from .f1_score import F1_SCORE, f1_score
from .log_loss import log_loss, row_log_losses
from .matthews_correlation import matthews_correlation, matthews_correlation_of
from .precision import PRECISION, precision
from .predictions import Floats, Predictions
from .recall import RECALL, recall
from .specificity import SPECIFICITY, specificity

Groups = npt.NDArray[np.int64]


class Sums(NamedTuple):
    """A figure that depends on the rows through sums alone.

    ``of_groups`` takes the group of each row and the number of groups, and gives (groups, width) sums;
    ``figure`` takes sums (..., width) and gives the figures (...), none below ``least`` or above ``largest``.
    """

    of_groups: Callable[[Groups, int], Floats]
    figure: Callable[[Floats], Floats]
    width: int
    largest: float
    least: float = 0.0


def mean_sums(
    values: npt.NDArray[Any], weights: Floats | None, least: float = -np.inf, largest: float = np.inf
) -> Sums:
    """Return the weighted mean of one value per row as a figure of sums."""
    if weights is not None:  # a row of weight 0 does not count, even when its loss is infinite
        values = weights * np.where(weights > 0, values, 0.0)

    def of_groups(groups: Groups, count: int) -> Floats:
        return np.stack([group_sums(groups, count, column) for column in (values, weights)], axis=1)

    return Sums(of_groups, lambda sums: sums[..., 0] / sums[..., 1], 2, largest, least)


def _mean(of_rows: Callable[..., npt.NDArray[Any]], largest: float) -> Callable[..., Sums]:
    """Return the weighted mean of what a function gives of each row."""

    def make(predictions: Predictions, **options: Any) -> Sums:
        return mean_sums(of_rows(predictions, **options), predictions.sample_weight, 0.0, largest)

    return make


def _correct(predictions: Predictions) -> npt.NDArray[np.bool_]:
    return predictions.figure("correct")


def _among(predictions: Predictions, k: int = 5) -> npt.NDArray[np.bool_]:
    return label_ranks(predictions) < k


def _calibration_error(predictions: Predictions, **options: Any) -> Sums:
    setting = check_setting(Setting(**options))
    classes = predictions.values.shape[1] if setting.scope == "classwise" else 1

    def of_groups(groups: Groups, count: int) -> Floats:
        sums = np.empty((count, classes, len(BinSums._fields), setting.n_bins))
        for label, one in enumerate(judged(predictions, setting)):
            index = groups * setting.n_bins + bin_index(one.probability, one.edges)
            parts = sum_bins(index, count * setting.n_bins, one.probability, one.outcome, predictions.weights)
            for position, part in enumerate(parts):
                sums[:, label, position] = part.reshape(count, setting.n_bins)
        return sums.reshape(count, -1)

    def figure(sums: Floats) -> Floats:
        parts = sums.reshape(*sums.shape[:-1], classes, len(BinSums._fields), setting.n_bins)
        return join_classes(error_of_sums(BinSums(*np.moveaxis(parts, -2, 0)), setting), setting.norm)

    return Sums(of_groups, figure, classes * len(BinSums._fields) * setting.n_bins, 1.0)


def _counted(figure_of: Callable[[ClassCounts], Floats], least: float = 0.0) -> Callable[..., Sums]:
    """Return a figure of the counts of each class."""

    def make(predictions: Predictions) -> Sums:
        classes = predictions.values.shape[1]

        def of_groups(groups: Groups, count: int) -> Floats:
            return np.concatenate(count_groups(predictions, groups, count), axis=1)

        def figure(sums: Floats) -> Floats:
            return figure_of(ClassCounts(*np.split(sums, len(ClassCounts._fields), axis=-1)))

        return Sums(of_groups, figure, classes * len(ClassCounts._fields), 1.0, least)

    return make


def _averaged(share: ClassShare) -> Callable[..., Sums]:
    """Return a share of rows of each class, averaged."""

    def make(predictions: Predictions, average: str = "binary") -> Sums:
        check_average(average, predictions.values.shape[1])
        return _counted(lambda counts: share.figure(counts, average))(predictions)

    return make


SHARES: dict[Any, ClassShare] = {
    precision: PRECISION,
    recall: RECALL,
    specificity: SPECIFICITY,
    f1_score: F1_SCORE,
}

SUMS: dict[Any, Callable[..., Sums]] = {
    log_loss: _mean(row_log_losses, np.inf),
    brier_score: _mean(row_brier_scores, 2.0),
    accuracy: _mean(_correct, 1.0),
    top_k_accuracy: _mean(_among, 1.0),
    calibration_error: _calibration_error,
    **{metric: _averaged(share) for metric, share in SHARES.items()},
    balanced_accuracy: _counted(balanced_accuracy_of),
    matthews_correlation: _counted(matthews_correlation_of, least=-1.0),
}
