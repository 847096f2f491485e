"""The record of a fit: when, on what, and how good it was there."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from .. import _json
from .._arrays import FloatArray, IntArray
from .._clock import time_now
from .._renamed import with_new_names
from .._version import __version__
from ..errors import FileFormatError
from ..metrics.calibration_error import calibration_error_of
from ..metrics.predictions import Predictions
from ..metrics.shares import share_of_sums

Weights = npt.NDArray[np.float64]

_BINS = 10
_CELLS_OF_DOUBLING = 8
_LOSSES = (2.0**-16, 2.0**11)  # smaller and larger ones count as these
_MOST_ROWS = 10**9


@dataclass(frozen=True)
class Figures:
    """How good probabilities were on some rows.

    Attributes
    ----------
    rows : int
        How many rows.
    accuracy : float
        Share of rows whose largest probability is the true class's. Larger is better, 0 to 1.
    log_loss : float
        Mean of -log of the true class's probability, in nats. Smaller is better, 0 at best.
    log_loss_error : float
        Standard error of that mean.
    brier_score : float
        Mean squared distance from the one-hot truth. Smaller is better, 0 to 2.
    calibration_error : float
        15-bin expected calibration error of the chosen class. Smaller is better, 0 to 1.
    """

    rows: int
    accuracy: float
    log_loss: float
    log_loss_error: float
    brier_score: float
    calibration_error: float

    @classmethod
    def of(cls, predictions: Predictions) -> Self:
        """The figures of logits with their labels and weights."""
        losses = predictions.figure("log_loss")
        return cls(
            rows=losses.size,
            accuracy=predictions.mean(predictions.figure("correct")),
            log_loss=predictions.mean(losses),
            log_loss_error=_error_of_mean(losses, predictions.sample_weight),
            brier_score=predictions.mean(predictions.figure("brier_score")),
            calibration_error=calibration_error_of(predictions),
        )

    @classmethod
    def from_dict(cls, value: Any, place: str) -> Self:
        """Read back what ``dataclasses.asdict`` wrote, every number checked."""
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        rows = _json.decode_integer(content["rows"], f"{place}.rows", lower=1)
        numbers = {
            name: _json.decode_number(content[name], f"{place}.{name}", lower=0)
            for name in content
            if name != "rows"
        }
        return cls(rows=rows, **numbers)


@dataclass(frozen=True)
class Reliability:
    """Confidence against truth in bins of equal mass: what an audit compares new rows with.

    Attributes
    ----------
    edges : array (bins - 1,)
        Confidences that part the bins.
    counts, confidences, hits : array (bins,)
        In each bin: rows, sum of their confidences, and how many chosen classes were true.
    """

    edges: FloatArray
    counts: FloatArray
    confidences: FloatArray
    hits: FloatArray

    @classmethod
    def of(cls, predictions: Predictions, edges: FloatArray | None = None) -> Self:
        """Bin rows by the confidence in the chosen class, at given edges or at its quantiles.

        Of weighted rows in a bin, as many are counted as there would be rows of equal weight that know the
        share of the true ones as well, in whole numbers.
        """
        confidence, hit = predictions.figure("confidence"), predictions.figure("correct")
        weights = predictions.sample_weight
        if edges is None:
            edges = np.unique(np.quantile(confidence, np.arange(1, _BINS) / _BINS))
        bins = np.searchsorted(edges, confidence, side="right")
        size = len(edges) + 1
        if weights is not None:
            return cls(edges, *_effective_counts(bins, size, confidence, hit, weights))
        return cls(
            edges,
            np.bincount(bins, minlength=size).astype(np.float64),
            np.bincount(bins, confidence, minlength=size).astype(np.float64),
            np.bincount(bins, hit, minlength=size).astype(np.float64),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON, every bit kept."""
        return {name: _json.encode_array(array) for name, array in vars(self).items()}

    @classmethod
    def from_dict(cls, value: Any, place: str) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        edges = _json.decode_array(content["edges"], f"{place}.edges")
        bins = (len(edges) + 1,)
        others = {
            name: _json.decode_array(content[name], f"{place}.{name}", shape=bins)
            for name in ("counts", "confidences", "hits")
        }
        counts = others["counts"]
        if (np.diff(edges) <= 0).any() or (np.abs(edges - 0.5) > 0.5).any():
            raise FileFormatError(f"{place}.edges must rise within 0 to 1; {_json.ADVICE}")
        if (counts < 0).any() or (counts > _MOST_ROWS).any() or (counts % 1 != 0).any():
            raise FileFormatError(
                f"{place}.counts must be whole numbers in 0 to {_MOST_ROWS}; {_json.ADVICE}"
            )
        for name in ("confidences", "hits"):
            if (others[name] < 0).any() or (others[name] > counts * (1 + 1e-6)).any():
                raise FileFormatError(
                    f"{place}.{name} must lie between 0 and the rows of each bin; {_json.ADVICE}"
                )
        return cls(edges, **others)


@dataclass(frozen=True)
class LossCounts:
    """How often each loss occurred, rounded to eighths of a power of two: what an audit draws again.

    Attributes
    ----------
    cells : array of int (cells,)
        The losses that occur, in rising order: 8 times their logarithm to base 2.
    counts : array of int (cells,)
        How many rows have each.
    """

    cells: IntArray
    counts: IntArray

    @classmethod
    def of(cls, predictions: Predictions) -> Self:
        """The losses -log p of logits with their labels, in nats."""
        exponent = np.clip(predictions.figure("log_loss"), *_LOSSES)
        np.log2(exponent, out=exponent)
        exponent *= _CELLS_OF_DOUBLING
        cell = np.rint(exponent, out=exponent).astype(np.int64)
        lowest = int(cell.min())
        counts = np.bincount(cell - lowest)
        filled = np.flatnonzero(counts)
        return cls(filled + lowest, counts[filled])

    @staticmethod
    def value_of(cells: IntArray) -> FloatArray:
        """The losses that cells stand for."""
        return 2.0 ** (cells / _CELLS_OF_DOUBLING)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, every bit kept."""
        return {name: _json.encode_array(array) for name, array in vars(self).items()}

    @classmethod
    def from_dict(cls, value: Any, place: str) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        cells = _json.decode_array(content["cells"], f"{place}.cells", kind="i")
        counts = _json.decode_array(content["counts"], f"{place}.counts", kind="i", shape=cells.shape)
        lowest, highest = _CELLS_OF_DOUBLING * np.log2(_LOSSES)
        if not cells.size or (np.diff(cells) <= 0).any() or cells[0] < lowest or cells[-1] > highest:
            raise FileFormatError(
                f"{place}.cells must rise from {lowest:.0f} at least to {highest:.0f} at most; {_json.ADVICE}"
            )
        if (counts < 1).any() or (counts > _MOST_ROWS).any():
            raise FileFormatError(f"{place}.counts must lie in 1 to {_MOST_ROWS}; {_json.ADVICE}")
        return cls(cells, counts)


@dataclass(frozen=True)
class FitRecord:
    """When and on what a policy was fitted, and the figures there.

    Attributes
    ----------
    fitted_at : str
        Time of the fit, ISO 8601 in UTC.
    input : str
        ``"logits"`` or ``"probabilities"``.
    rows, calibration_rows, rule_rows : int
        Rows in all, those the calibration was fitted on, and those the rule was.
    split : str
        ``"random"``, ``"given"`` by the user, or ``"none"`` where the rule needs no fitting.
    random_state : int
        Seed of the split and of the folds.
    versions : mapping
        Of softmaxlib, Python and NumPy.
    before, after : Figures
        Without and with calibration, on rows that the calibration was not fitted on: the rule's, or
        three folds (of at most 50,000 rows in all) each judged by a calibration fitted on the other two.
    reliability : Reliability
        On the same rows, after calibration.
    abstained : float
        Share of the rows of the rule (of all rows where the rule needs no fitting) that it left undecided.
    losses : LossCounts or None
        On the rows of `after`; None in a policy that was fitted with weights, or that an earlier version
        saved.
    effective_rows : float or None
        How many rows of equal weight say as much as `rows` weighted ones; None where rows had no weights.
    sampled_from : int or None
        How many rows `rows` were drawn from, uniformly, where these were too many; else None.
    """

    fitted_at: str
    input: Literal["logits", "probabilities"]
    rows: int
    calibration_rows: int
    rule_rows: int
    split: str
    random_state: int
    versions: Mapping[str, str]
    before: Figures
    after: Figures
    reliability: Reliability
    abstained: float
    losses: LossCounts | None = None
    effective_rows: float | None = None
    sampled_from: int | None = None

    @property
    def judged_rows(self) -> int:
        """How many rows `abstained` is a share of."""
        return self.calibration_rows if self.split == "none" else self.rule_rows

    def count(self, rows: int) -> int:
        """How many of these rows of the fit count as evidence: fewer where they had weights."""
        return rows if self.effective_rows is None else max(1, int(rows * self.effective_rows / self.rows))

    @classmethod
    def of(
        cls,
        before: FloatArray,
        after: FloatArray,
        labels: IntArray,
        weights: Weights | None = None,
        **fit: Any,
    ) -> Self:
        """The record of a fit as of now, with its figures on logits (rows, classes) before and after."""
        calibrated = Predictions.of_logits(after, labels, weights)
        return cls(
            fitted_at=time_now(),
            versions=versions(),
            before=Figures.of(Predictions.of_logits(before, labels, weights)),
            after=Figures.of(calibrated),
            reliability=Reliability.of(calibrated),
            losses=LossCounts.of(calibrated) if weights is None else None,
            **fit,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values that ``json.dump`` takes."""
        return {
            **vars(self),
            "versions": dict(self.versions),
            "before": asdict(self.before),
            "after": asdict(self.after),
            "reliability": self.reliability.to_dict(),
            "losses": None if self.losses is None else self.losses.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Any, place: str = "record") -> Self:
        """Read back what :meth:`to_dict` wrote; nothing in it is trusted."""
        if isinstance(value, dict):
            named = with_new_names(value, [field.name for field in fields(cls)])
            absent = dict.fromkeys(("losses", "effective_rows", "sampled_from"))  # in earlier versions
            value = {**absent, **named}
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        losses, effective_rows = content["losses"], content["effective_rows"]
        counts = {
            name: _json.decode_integer(content[name], f"{place}.{name}", lower=0)
            for name in ("rows", "calibration_rows", "rule_rows", "random_state")
        }
        return cls(
            fitted_at=_text(content["fitted_at"], f"{place}.fitted_at"),
            input=cast(
                Literal["logits", "probabilities"],
                _json.decode_choice(content["input"], f"{place}.input", ("logits", "probabilities")),
            ),
            split=_json.decode_choice(content["split"], f"{place}.split", ("random", "given", "none")),
            versions=_texts(content["versions"], f"{place}.versions"),
            before=Figures.from_dict(content["before"], f"{place}.before"),
            after=Figures.from_dict(content["after"], f"{place}.after"),
            reliability=Reliability.from_dict(content["reliability"], f"{place}.reliability"),
            abstained=_json.decode_number(content["abstained"], f"{place}.abstained", lower=0, upper=1),
            losses=None if losses is None else LossCounts.from_dict(losses, f"{place}.losses"),
            effective_rows=None
            if effective_rows is None
            else _json.decode_number(effective_rows, f"{place}.effective_rows", lower=0),
            sampled_from=None
            if content["sampled_from"] is None
            else _json.decode_integer(content["sampled_from"], f"{place}.sampled_from", lower=1),
            **counts,
        )


def versions() -> dict[str, str]:
    """Of softmaxlib, Python and NumPy, as they run now."""
    return {"softmaxlib": __version__, "python": platform.python_version(), "numpy": np.__version__}


def _error_of_mean(losses: FloatArray, weights: Weights | None) -> float:
    """The standard error of the mean of losses, weighted or not."""
    if weights is None:
        return float(losses.std(dtype=np.float64) / np.sqrt(len(losses)))
    counts = weights > 0
    losses, weights = losses[counts].astype(np.float64), weights[counts]
    shares = weights / weights.sum()
    return float(np.sqrt(shares**2 @ (losses - shares @ losses) ** 2))


def _effective_counts(
    bins: IntArray, size: int, confidence: FloatArray, hit: npt.NDArray[np.bool_], weights: Weights
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rows, sum of confidences and hits of each bin, each in terms of rows of equal weight."""

    def sums(values: npt.NDArray[Any]) -> FloatArray:
        return np.bincount(bins, values, size).astype(np.float64, copy=False)

    total, squares = sums(weights), sums(weights**2)
    share = share_of_sums(total, sums(weights * hit), squares, sums(weights**2 * hit), sums(weights > 0))
    rows = np.maximum(np.floor(share.rows + 1e-9), total > 0)
    mean = np.divide(sums(weights * confidence), total, out=np.zeros(size), where=total > 0)
    return rows, mean * rows, np.rint(share.value * rows)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise FileFormatError(f"{place} must be a text; {_json.ADVICE}")
    return value


def _texts(value: Any, place: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise FileFormatError(f"{place} must be a JSON object; {_json.ADVICE}")
    return {_text(key, place): _text(text, f"{place}.{key}") for key, text in value.items()}
