"""The common part of vector and matrix scaling: a structured linear fit of smoothed log-probabilities."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._graph import Tensor
from .._stored import Number
from .._warn import warn_user
from .base import Calibration, Weights, Whole
from .designs import Design, Features, Floats
from .fit_rows import FitRows, HeldRows
from .smoothing import LEAST, Smoothing
from .structured import Structured, fit_structured, refit, unfitted

FLOOR = Number(lower=LEAST, upper=1 - 1e-9)
SMOOTHING_FIELDS = {"temperature_": Number(lower=LEAST), "floor_": FLOOR}


class StructuredScaling(Calibration):
    """Base class of linear corrections of smoothed log-probabilities. The design defines the kind."""

    _design: ClassVar[Callable[[Features], Design]]
    _strengths: ClassVar[Callable[..., Structured]] = fit_structured

    temperature_: float
    floor_: float

    def describe(self) -> str:
        """Describe the calibration and its temperature in one line."""
        self._check_fitted()
        return f"{self}, temperature {self.temperature_:.4g}"

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        self._fit_rows(HeldRows(logits, labels, weights))

    def _fit_rows(self, rows: FitRows) -> None:
        kind = type(self)
        fit = kind._fitted_or_none(rows)
        if fit is None:
            fit = unfitted(kind._design, rows)
            warn_user(
                f"{kind.__name__} found no correction of finite numbers on these {rows.count} rows, and is "
                "temperature scaling; fit on more rows, and leave out those that are far from all others"
            )
        self._keep_fit(fit)

    def _fit_whole(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> Whole:
        """Fit all rows. All parts share this smoothing, and start from these regularisation strengths."""
        kind = type(self)
        whole = kind._fitted_or_none(HeldRows(logits, labels, weights))
        if whole is None:
            return super()._fit_whole(logits, labels, weights)

        def fit_part(some: npt.NDArray[np.int64]) -> Self:
            part = copy.copy(self)
            fit = refit(kind._design, whole, some, labels[some], weights[some])
            if not fit.linear.finite:
                return self._fitted_part(logits[some], labels[some], weights[some])
            part._keep_fit(fit)
            part.class_count_ = logits.shape[1]
            return part

        fitted = copy.copy(self)
        fitted._keep_fit(whole)
        fitted.class_count_ = logits.shape[1]
        return Whole(fit_part, fitted)

    @classmethod
    def _fitted_or_none(cls, rows: FitRows) -> Structured | None:
        """Return the fit, or None if it has no finite numbers."""
        try:
            fit = cls._strengths(cls._design, rows)
        except np.linalg.LinAlgError:
            return None
        return fit if fit.linear.finite else None

    def _keep_fit(self, fit: Structured) -> None:
        self.temperature_, self.floor_ = fit.smoothing
        self._keep(fit)

    @abstractmethod
    def _keep(self, fit: Structured) -> None:
        """Set the attributes of this kind from the parameters of its design."""

    def _smoothed(self, logits: npt.NDArray[Any]) -> Floats:
        return Smoothing(self.temperature_, self.floor_)(logits)

    def _export_smoothed(self, logits: Tensor) -> Tensor:
        return Smoothing(self.temperature_, self.floor_).to_graph(logits, self.class_count_)
