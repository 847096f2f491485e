"""Thresholds at which a share of rows is proved not to fall below a floor: precision, recall, specificity.

A threshold is allowed where the rows reject that the share is below the floor, at a level that all thresholds
share: so any of those that are allowed may be chosen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _json
from .._checks import check_share
from .._stored import Choice, Number, Schema
from .._stored.fields import object_schema
from ..errors import InvalidInputError, UnsupportedTypeError
from ._fallback_tests import binomial_p_values, rejected, rows_needed
from .decision import Floats
from .outcomes import Promise

Counts = npt.NDArray[np.int64]

FLOOR_METRICS = ("precision", "recall", "specificity")


class Floor(NamedTuple):
    """The least that a metric may be.

    Attributes
    ----------
    metric : {"precision", "recall", "specificity"}
        What must not be lower.
    least : float
        The floor, between 0 and 1.
    """

    metric: str
    least: float

    def right_of(self, tables: Floats) -> tuple[Counts, Counts]:
        """Return how many rows the metric is a share of, and how many of them are right, for each table."""
        counts = np.rint(tables).astype(np.int64)
        if self.metric == "precision":
            return counts[..., 1].sum(axis=-1), counts[..., 1, 1]
        label = 1 if self.metric == "recall" else 0
        return counts[..., label, :].sum(axis=-1), counts[..., label, label]

    def allowed(self, tables: Floats, level: float) -> npt.NDArray[np.bool_]:
        """Return for each table of rising thresholds whether the floor is kept.

        Parameters
        ----------
        tables : ndarray, shape (thresholds, 2, 2)
            Of thresholds that were fixed before the rows were seen.
        level : float
            The chance that a threshold is allowed whose share is below the floor.
        """
        rows, right = self.right_of(tables)
        risk, mistakes = 1 - self.least, rows - right
        if rows.max() < rows_needed(risk, level):
            return np.zeros(rows.size, np.bool_)
        if self.metric == "precision":  # neither rises nor falls with the threshold
            return rejected(rows[::-1], mistakes[::-1], risk, level)[::-1]
        kept = binomial_p_values(mistakes, rows, risk) <= level
        # the share can only fall from one threshold to the next, so no level is spent on more than one test
        ordered = kept if self.metric == "recall" else kept[::-1]
        ordered = np.logical_and.accumulate(ordered)
        return ordered if self.metric == "recall" else ordered[::-1]

    def promise(self, table: Floats, class_names: Sequence[str]) -> Promise:
        """Test the floor on new rows by the binomial law."""
        from scipy import stats

        rows, right = (int(part) for part in self.right_of(table))
        observed = right / rows if rows else 1.0
        of = {
            "precision": f"the {rows} rows taken for {class_names[1]!r} are of it",
            "recall": f"the {rows} rows of {class_names[1]!r} are taken for it",
            "specificity": f"the {rows} rows of {class_names[0]!r} are taken for it",
        }
        return Promise(
            self.metric,
            self.least,
            observed,
            float(stats.binom.cdf(right, rows, self.least)),
            (1 - self.least) ** rows,
            f"{right} of {of[self.metric]} ({observed:.2%}), and at least {self.least:.2%} are promised",
        )


class FloorField:
    """A metric and the least that it may be, or None."""

    def encode(self, value: Floor | None) -> dict[str, Any] | None:
        return None if value is None else value._asdict()

    def decode(self, value: Any, place: str, classes: int) -> tuple[str, float] | None:
        del classes
        if value is None:
            return None
        content = _json.check_fields(value, place, ("metric", "least"))
        metric = _json.decode_choice(content["metric"], f"{place}.metric", FLOOR_METRICS)
        return metric, _json.decode_number(content["least"], f"{place}.least", lower=0, upper=1)

    def schema(self) -> Schema:
        floor = object_schema(
            {"metric": Choice(FLOOR_METRICS).schema(), "least": Number(lower=0, upper=1).schema()}
        )
        return {"anyOf": [{"type": "null"}, floor]}


def check_floor(at_least: Any) -> Floor:
    """Return the floor that a user gave as a pair."""
    if not isinstance(at_least, (tuple, list)) or len(at_least) != 2:
        raise UnsupportedTypeError(
            f'at_least must be a metric and its floor, such as ("precision", 0.9), got {at_least!r}'
        )
    metric, least = at_least
    if metric not in FLOOR_METRICS:
        raise InvalidInputError(f"at_least must name one of {', '.join(FLOOR_METRICS)}; got {metric!r}")
    return Floor(metric, check_share(least, f"the least {metric}", "0.9 means 90 percent"))


def read_floor(text: str) -> tuple[str, float]:
    """Parse the option ``--at-least``, such as ``precision=0.9``."""
    metric, _, number = text.partition("=")
    try:
        return metric.strip(), float(number)
    except ValueError:
        raise InvalidInputError(
            f"--at-least must be a metric and its floor, such as precision=0.9; got {text!r}"
        ) from None
