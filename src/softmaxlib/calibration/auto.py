"""Automatic choice of a calibration by cross-validation."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _json
from .._checks import RandomState, check_integer, check_random_state
from .._graph import Tensor
from .._judging import Correction
from .._renamed import checked_keywords
from .._stored import Integer, Schema
from .._stored.fields import object_schema
from ..errors import FileFormatError, SoftmaxlibWarning
from .base import Calibration, Weights
from .beta_calibration import BetaCalibration
from .histogram_binning import HistogramBinning
from .identity import Identity
from .isotonic_scaling import IsotonicScaling
from .left_out import LeftOut, log_loss
from .logarithmic_pool import LogarithmicPool
from .matrix_scaling import MatrixScaling
from .nested import Nested
from .structured_matrix_scaling import StructuredMatrixScaling
from .structured_vector_scaling import StructuredVectorScaling
from .temperature_scaling import TemperatureScaling
from .vector_scaling import VectorScaling
from .venn_abers import VennAbers

_POOLED: dict[str, type[Calibration]] = {
    kind.__name__: kind
    for kind in (
        TemperatureScaling,
        StructuredVectorScaling,
        VectorScaling,
        StructuredMatrixScaling,
        MatrixScaling,
        IsotonicScaling,
        BetaCalibration,
        VennAbers,
    )
}
_CANDIDATES = {"Identity": Identity, **_POOLED, "HistogramBinning": HistogramBinning}
_POOL = "LogarithmicPool"
_COSTLY = ("StructuredMatrixScaling", "MatrixScaling")
_OF_TWO_CLASSES = ("BetaCalibration", "VennAbers")
_FEWEST_ROWS, _MOST_PRODUCTS = 1000, 200_000_000  # max(rows, fewest) * classes^2 for matrices
_ENOUGH_NUMBERS, _ENOUGH_ROWS = 1_000_000, 5000  # for the choice; the final fit uses all rows
_MOST_NUMBERS = 5_000_000  # for the choice, for any number of classes
_LEAST_WEIGHT = 0.05  # in the pool; smaller weights are dropped


class _LogLosses:
    """A number for each candidate."""

    _optional = (*_COSTLY, *_OF_TWO_CLASSES, _POOL)

    def encode(self, value: Mapping[str, float]) -> Any:
        return {name: value.get(name) for name in (*_CANDIDATES, _POOL)}  # null: left out

    def decode(self, value: Any, place: str, classes: int) -> dict[str, float]:
        del classes
        if isinstance(value, dict) and not set(_OF_TWO_CLASSES) & set(value):
            value = {**value, **dict.fromkeys(_OF_TWO_CLASSES)}  # earlier files have none of them
        content = _json.check_fields(value, place, (*_CANDIDATES, _POOL))
        return {
            name: _json.decode_number(loss, f"{place}.{name}", lower=0.0)
            for name, loss in content.items()
            if loss is not None or name not in self._optional
        }

    def schema(self) -> Schema:
        loss: Schema = {"type": "number", "minimum": 0.0}
        optional: Schema = {"anyOf": [{"type": "null"}, loss]}
        names = (*_CANDIDATES, _POOL)
        losses = {name: optional if name in self._optional else loss for name in names}
        return object_schema(losses, optional=_OF_TWO_CLASSES)


class Auto(Calibration):
    """Choose or pool calibrations by cross-validated log loss.

    Every candidate is fitted on all folds except one, and judged on that one, in turn. The candidates are
    `Identity`, `TemperatureScaling`, `VectorScaling`, `MatrixScaling`, both of these with fixed penalties
    (`StructuredVectorScaling`, `StructuredMatrixScaling`), `IsotonicScaling` and `HistogramBinning`. With two
    classes, `BetaCalibration` and `VennAbers` take part too.

    It is better to pool candidates that are close than to choose one of them, because the best on the folds
    may be best by chance. So all except the identity and histogram binning are joined in a `LogarithmicPool`.
    Its weights predict the left-out rows best, under a prior that dominates if there are few rows (see
    Notes); weights below 0.05 are dropped. The pool, or the one calibration that is left in it, is fitted
    again on all rows, unless the identity or histogram binning did better. A result that is worse than the
    identity on the fitted rows is not used. So `Auto` is never worse there than no calibration.

    Give weights, not repeated rows: copies of a row fall into several folds, and a candidate is then judged
    on rows that it knows.

    Parameters
    ----------
    cv : int, default 5
        Number of folds, at least 2. Each has about the same share of each class.
    random_state : int or numpy.random.Generator, default 0
        Seed of the random assignment of rows to folds. A generator supplies the seed, once.

    Attributes
    ----------
    calibration_ : Calibration
        The chosen calibration, fitted on all rows: a `LogarithmicPool`, or one of the candidates.
    log_losses_ : dict of str to float
        Mean log loss of each candidate on left-out rows, in nats. Smaller is better. If there is a pool, its
        weights were fitted to these rows.
    reason_ : str
        The reason for the choice, in words.
    class_count_ : int
        Number of classes of the logits in `fit`.

    Notes
    -----
    The weights minimize the log loss of the pool on the left-out rows, plus 20 times -sum(p log weight). This
    is a Dirichlet prior that counts like 20 rows, around weights p proportional to exp(-total loss / 4).

    The choice uses at most 1,000,000 / classes random rows, or 5,000 if that is more (but never above
    5,000,000 / classes). The final fit uses all rows, and equals the fit of the calibration alone. Vector and
    matrix scaling are first fitted to all rows of the choice. The folds use the temperature and the floor of
    this fit, and start from its regularisation strengths. Calibrations and folds run in several threads. The
    number of threads does not change the result.

    The cost of the two matrix scalings grows with rows * classes^2. They take part if max(rows, 1000) *
    classes^2 is at most 200,000,000 for the rows of the choice: always up to 200 classes, up to 316 classes
    with 2,000 rows, and never above 447. Otherwise `reason_` says that they were left out, and `log_losses_`
    has no entry for them. The rule does not measure time, so a choice is reproducible.

    References
    ----------
    D. H. Wolpert, "Stacked generalization", Neural Networks 5, 1992.
    Y. Yao, A. Vehtari, D. Simpson, A. Gelman, "Using stacking to average Bayesian predictive distributions",
    Bayesian Analysis 13, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import Auto
    >>> generator = np.random.default_rng(0)
    >>> logits = 6 * generator.standard_normal((2000, 3))
    >>> labels = (logits / 2 + generator.gumbel(size=(2000, 3))).argmax(axis=1)
    >>> fitted = Auto().fit(logits, labels)
    >>> fitted.reason_.split(",")[0]
    'LogarithmicPool has the least log loss on left-out rows'
    """

    command_name = "auto"

    _settings = {"cv": Integer(lower=2), "random_state": Integer(lower=0)}  # noqa: RUF012
    _fitted = {"calibration_": Nested(barred=("Auto",)), "log_losses_": _LogLosses()}  # noqa: RUF012

    calibration_: Calibration
    log_losses_: dict[str, float]

    @checked_keywords
    def __init__(self, cv: int = 5, random_state: RandomState = 0) -> None:
        self.cv = check_integer(cv, "cv", lower=2, upper=_json.LARGEST_INTEGER)
        self.random_state = check_random_state(random_state)

    @property
    def chosen(self) -> Calibration:
        """The chosen calibration, `calibration_`."""
        self._check_fitted()
        return self.calibration_

    def describe(self) -> str:
        """Describe the choice and its reason in one line."""
        return f"{self}: {self.reason_}"

    @property
    def reason_(self) -> str:
        """The reason for the choice of `calibration_`, in words."""
        self._check_fitted()
        chosen = type(self.calibration_).__name__
        losses = self.log_losses_
        text = f"{chosen} has the least log loss on left-out rows, {losses[chosen]:.4f}"
        if isinstance(self.calibration_, LogarithmicPool):
            text += f", as {self.calibration_.describe()}"
        order = sorted(losses, key=lambda name: losses[name])
        contenders = _contenders(losses)
        passed = contenders[: contenders.index(chosen)]
        if passed:
            text += f", of those that lose nothing on the fitting rows ({', '.join(passed)} did)"
        others = ", ".join(f"{name} {losses[name]:.4f}" for name in order if name not in (chosen, *passed))
        if others:
            text += f"; then {others}"
        if "MatrixScaling" not in losses:
            text += (
                f"; {' and '.join(_COSTLY)} were left out: with {self.class_count_} classes, "
                f"rows * classes^2 is above {_MOST_PRODUCTS:,}"
            )
        return text

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SoftmaxlibWarning)  # folds may be separable
            shares, fitted = self._cross_validate(logits, labels, weights)

        def fit(name: str) -> Calibration:
            if name == _POOL:
                pool = LogarithmicPool([fit(member) for member in shares], list(shares.values()))
                return pool._join(weights, logits.shape[1])
            return fitted.get(name) or _CANDIDATES[name]()._fit_checked(logits, labels, weights)

        bound = log_loss(fit("Identity"), logits, labels, weights)
        for name in _contenders(self.log_losses_):
            self.calibration_ = fit(name)
            if log_loss(self.calibration_, logits, labels, weights) <= bound:
                return

    def _cross_validate(
        self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights
    ) -> tuple[dict[str, float], dict[str, Calibration]]:
        """Set `log_losses_`. Return the members of the pool with weights, and their fits on all rows."""
        rows, fold = self._assign_folds(labels, logits.shape[1])
        kinds = {name: _CANDIDATES[name] for name in _affordable(*logits[rows].shape)}
        left_out = LeftOut(logits[rows], labels[rows], weights[rows], fold)
        predicted = left_out.predict(kinds)
        self.log_losses_ = {name: found.log_loss for name, found in predicted.items()}
        every = len(rows) == len(labels)
        fitted = {name: found.fitted for name, found in predicted.items() if every and found.fitted}
        members = [name for name in predicted if name in _POOLED]
        share = left_out.pool_weights([predicted[name].logarithms for name in members])
        kept = {name: one for name, one in zip(members, share.tolist(), strict=True) if one >= _LEAST_WEIGHT}
        if len(kept) > 1:
            kept = {name: one / sum(kept.values()) for name, one in kept.items()}
            logarithms = [predicted[name].logarithms for name in kept]
            self.log_losses_[_POOL] = left_out.pooled_loss(logarithms, list(kept.values()))
        return kept, fitted

    def _assign_folds(
        self, labels: npt.NDArray[np.int64], classes: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows of the choice and the fold of each. Each class is spread evenly over folds."""
        rows = np.random.default_rng(self.random_state).permutation(len(labels))[: _enough_rows(classes)]
        rows = rows[np.argsort(labels[rows], kind="stable")]
        fold = np.arange(len(rows)) % self.cv
        order = np.argsort(rows)
        return rows[order], fold[order]

    def _check_state(self) -> None:
        if type(self.calibration_).__name__ not in self.log_losses_:
            raise FileFormatError(
                f"Auto.calibration_ must be one of those in log_losses_ ({', '.join(self.log_losses_)}), "
                f"got {type(self.calibration_).__name__}; {_json.ADVICE}"
            )

    def correction(self) -> Correction | None:
        """Return the correction of the chosen calibration."""
        return self.chosen.correction()

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self.calibration_.transform(logits)

    def _export(self, logits: Tensor) -> Tensor:
        return self.calibration_.to_graph(logits)


def _enough_rows(classes: int) -> int:
    """Return the largest number of rows for the choice."""
    return min(_MOST_NUMBERS // classes, max(_ENOUGH_ROWS, _ENOUGH_NUMBERS // classes))


def _affordable(rows: int, classes: int) -> list[str]:
    """Return the affordable candidates for this number of classes, simpler ones first."""
    left_out: tuple[str, ...] = () if classes == 2 else _OF_TWO_CLASSES
    if max(rows, _FEWEST_ROWS) * classes**2 > _MOST_PRODUCTS:
        left_out += _COSTLY
    return [name for name in _CANDIDATES if name not in left_out]


def _contenders(losses: Mapping[str, float]) -> list[str]:
    """Return the possible choices, best first. A pool replaces its members."""
    names = [name for name in losses if name not in _POOLED] if _POOL in losses else list(losses)
    return sorted(names, key=lambda name: losses[name])
