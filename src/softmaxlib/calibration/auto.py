"""The calibration that predicts left-out rows best."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _json
from ..errors import FileFormatError, InvalidInputError, SoftmaxlibWarning
from ..losses import cross_entropy
from .base import Calibration, Weights
from .fields import Integer
from .histogram_binning import HistogramBinning
from .identity import Identity
from .isotonic_scaling import IsotonicScaling
from .matrix_scaling import MatrixScaling
from .temperature_scaling import TemperatureScaling
from .vector_scaling import VectorScaling

_CANDIDATES: dict[str, type[Calibration]] = {
    kind.__name__: kind
    for kind in (
        Identity,
        TemperatureScaling,
        VectorScaling,
        MatrixScaling,
        IsotonicScaling,
        HistogramBinning,
    )
}
_FEWEST_ROWS, _MOST_PRODUCTS = 1000, 200_000_000  # max(rows, fewest) * classes^2 for MatrixScaling
_ENOUGH_NUMBERS, _ENOUGH_ROWS = 1_000_000, 5000  # for the choice; the chosen one is fitted on all rows
_MOST_NUMBERS = 5_000_000  # for the choice, however many classes there are


class _Chosen:
    """One of the candidates, nested in the JSON of `Auto`."""

    def encode(self, value: Calibration) -> Any:
        return value.to_dict()

    def decode(self, value: Any, place: str, classes: int) -> Calibration:
        _json.find_class(value, place, _CANDIDATES)  # not Auto in Auto in Auto
        chosen = Calibration.from_dict(value)
        if chosen.class_count_ != classes:
            raise FileFormatError(
                f"{place}.class_count_ must be {classes}, got {chosen.class_count_}; {_json.ADVICE}"
            )
        return chosen


class _LogLosses:
    """A number for each candidate."""

    def encode(self, value: Mapping[str, float]) -> Any:
        return {name: value.get(name) for name in _CANDIDATES}  # null: left out

    def decode(self, value: Any, place: str, classes: int) -> dict[str, float]:
        del classes
        content = dict(_json.check_fields(value, place, _CANDIDATES))
        if content["MatrixScaling"] is None:
            del content["MatrixScaling"]
        return {name: _json.decode_number(content[name], f"{place}.{name}", lower=0.0) for name in content}


class Auto(Calibration):
    """Chooses among all calibrations, and no calibration, by cross-validated log loss.

    Every candidate (`Identity`, `TemperatureScaling`, `VectorScaling`, `MatrixScaling`, `IsotonicScaling`,
    `HistogramBinning`) is fitted on all folds but one and judged on the one left out, in turn. The one with
    the least mean log loss is fitted again on all rows. A candidate that does worse than the identity on the
    very rows it was fitted on is passed over, so that `Auto` is never worse there than no calibration.

    Parameters
    ----------
    folds : int, default 5
        Number of parts of the rows, at least 2; each holds about the same share of each class.
    seed : int, default 0
        Of the random assignment of rows to folds.

    Attributes
    ----------
    calibration_ : Calibration
        The chosen one, fitted on all rows.
    log_losses_ : dict of str to float
        Mean log loss of each candidate on the rows left out, in nats; smaller is better.
    reason_ : str
        Why this one, in words.
    class_count_ : int
        Number of classes of the logits it was fitted on.

    Notes
    -----
    The choice uses at most 1,000,000 / classes rows, or 5,000 where that is more (never above 5,000,000 /
    classes), drawn at random; the final fit uses all. The search of each fold starts where that of the fold
    before ended, so that the time is about that of four fits of `MatrixScaling`, which is the slowest; the
    final fit starts afresh, and equals that of the calibration alone.

    The cost of `MatrixScaling` grows with rows * classes^2. It takes part where, with the rows used for the
    choice, max(rows, 1000) * classes^2 is at most 200,000,000: always up to 200 classes, up to 316
    classes with 2,000 rows, never above 447. Beyond, `reason_` says that it was left out, and
    `log_losses_` has no entry for it. The rule counts no seconds, so that a choice can be repeated.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import Auto
    >>> generator = np.random.default_rng(0)
    >>> logits = 6 * generator.standard_normal((2000, 3))
    >>> labels = (logits / 2 + generator.gumbel(size=(2000, 3))).argmax(axis=1)
    >>> fitted = Auto().fit(logits, labels)
    >>> fitted.reason_.split(";")[0]
    'TemperatureScaling has the least log loss on left-out rows, 0.4363'
    """

    _settings = {"folds": Integer(lower=2), "seed": Integer(lower=0)}  # noqa: RUF012
    _fitted = {"calibration_": _Chosen(), "log_losses_": _LogLosses()}  # noqa: RUF012

    calibration_: Calibration
    log_losses_: dict[str, float]

    def __init__(self, folds: int = 5, seed: int = 0) -> None:
        for name, value, least in (("folds", folds, 2), ("seed", seed, 0)):
            if value < least or value != int(value):
                raise InvalidInputError(f"{name} must be a whole number, at least {least}, got {value}")
        self.folds = int(folds)
        self.seed = int(seed)

    @property
    def reason_(self) -> str:
        """Why `calibration_` was chosen, in words."""
        self._check_fitted()
        chosen = type(self.calibration_).__name__
        losses = self.log_losses_
        order = sorted(losses, key=lambda name: losses[name])
        better = order[: order.index(chosen)]
        others = ", ".join(f"{name} {losses[name]:.4f}" for name in order if name not in (chosen, *better))
        text = f"{chosen} has the least log loss on left-out rows, {losses[chosen]:.4f}"
        if better:
            text += f", of those that lose nothing on the fitting rows ({', '.join(better)} did)"
        if others:
            text += f"; then {others}"
        if "MatrixScaling" not in losses:
            text += (
                f"; MatrixScaling was left out: with {self.class_count_} classes, rows * classes^2 is above "
                f"{_MOST_PRODUCTS:,}"
            )
        return text

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", SoftmaxlibWarning
            )  # a fold may be separable where the whole is not
            self.log_losses_ = self._cross_validate(logits, labels, weights)
        bound = _log_loss(Identity().fit(logits, labels), logits, labels, weights)
        order = sorted(self.log_losses_, key=self.log_losses_.__getitem__)  # ties: the simpler first
        for name in order:
            self.calibration_ = _CANDIDATES[name]().fit(logits, labels, weights)
            if _log_loss(self.calibration_, logits, labels, weights) <= bound:
                return

    def _cross_validate(
        self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights
    ) -> dict[str, float]:
        fold = self._assign_folds(labels, logits.shape[1])
        losses = dict.fromkeys(_affordable(int((fold >= 0).sum()), logits.shape[1]), 0.0)
        fitted: dict[str, Calibration] = {}
        for part in np.unique(fold[fold >= 0]):
            fit, judge = (fold >= 0) & (fold != part), fold == part
            if not fit.any():  # a single row: nothing can be learned from it and judged by it
                fit = judge
            share = weights[judge].sum() / weights[fold >= 0].sum()
            for name in losses:
                fitted[name] = _fit_near(name, fitted.get(name), logits[fit], labels[fit], weights[fit])
                losses[name] += float(
                    share * _log_loss(fitted[name], logits[judge], labels[judge], weights[judge])
                )
        return losses

    def _assign_folds(self, labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
        """The fold of each row, each class dealt out evenly; -1 for rows that the choice leaves aside."""
        order = np.random.default_rng(self.seed).permutation(len(labels))[: _enough_rows(classes)]
        order = order[np.argsort(labels[order], kind="stable")]
        fold = np.full(len(labels), -1)
        fold[order] = np.arange(len(order)) % self.folds
        return fold

    def _check_state(self) -> None:
        if type(self.calibration_).__name__ not in self.log_losses_:
            raise FileFormatError(
                f"Auto.calibration_ must be one of those in log_losses_ ({', '.join(self.log_losses_)}), "
                f"got {type(self.calibration_).__name__}; {_json.ADVICE}"
            )

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self.calibration_.transform(logits)


def _enough_rows(classes: int) -> int:
    """How many rows the choice uses at most."""
    return min(_MOST_NUMBERS // classes, max(_ENOUGH_ROWS, _ENOUGH_NUMBERS // classes))


def _affordable(rows: int, classes: int) -> list[str]:
    """The candidates that the rule of cost admits, simpler ones first."""
    cost = max(rows, _FEWEST_ROWS) * classes**2
    return [name for name in _CANDIDATES if name != "MatrixScaling" or cost <= _MOST_PRODUCTS]


def _fit_near(
    name: str,
    neighbour: Calibration | None,
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> Calibration:
    calibration = _CANDIDATES[name]()
    if neighbour is None:
        calibration._fit(logits, labels, weights)
    else:
        calibration._fit_near(neighbour, logits, labels, weights)
    calibration.class_count_ = logits.shape[1]
    return calibration


def _log_loss(
    calibration: Calibration,
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> float:
    losses = cross_entropy(calibration.transform(logits).astype(np.float64), labels, reduction="none")
    return float(weights @ losses / weights.sum())
