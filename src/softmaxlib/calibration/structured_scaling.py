"""What vector and matrix scaling share: smoothed log-probabilities in, and a structured linear fit."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._graph import Tensor
from .._warn import warn_user
from .base import Calibration, Weights
from .designs import Design, Features, Floats
from .fields import Number
from .smoothing import LEAST, Smoothing
from .structured import Ends, Structured, fit_structured, unfitted

FLOOR = Number(lower=LEAST, upper=1 - 1e-9)
SMOOTHING_FIELDS = {"temperature_": Number(lower=LEAST), "floor_": FLOOR}


class StructuredScaling(Calibration):
    """A linear correction of smoothed log-probabilities; a kind says which, by its design."""

    _design: ClassVar[Callable[[Features], Design]]
    _strengths: ClassVar[Callable[..., Structured]] = fit_structured

    temperature_: float
    floor_: float

    _ends: Ends | None = None  # lost in JSON: only a neighbouring fit can use it

    def describe(self) -> str:
        """Say in a line what this is, and the temperature of its log-probabilities."""
        self._check_fitted()
        return f"{self}, temperature {self.temperature_:.4g}"

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        self._fit_from(None, logits, labels, weights)

    def _fit_near(
        self,
        neighbour: Any,
        logits: npt.NDArray[Any],
        labels: npt.NDArray[np.int64],
        weights: Weights,
    ) -> None:
        self._fit_from(neighbour._ends, logits, labels, weights)

    def _fit_from(
        self,
        near: Ends | None,
        logits: npt.NDArray[Any],
        labels: npt.NDArray[np.int64],
        weights: Weights,
    ) -> None:
        kind = type(self)
        try:
            fit = kind._strengths(kind._design, logits, labels, weights, near)
            found = np.isfinite(fit.linear.weight).all() and np.isfinite(fit.linear.intercept).all()
        except np.linalg.LinAlgError:
            fit, found = None, False
        if fit is None or not found:
            fit = unfitted(kind._design, logits, labels, weights)
            warn_user(
                f"{kind.__name__} found no correction of finite numbers on these {len(labels)} rows, and is "
                "temperature scaling; fit on more rows, and leave out those that are far from all others"
            )
        self._ends = fit.ends
        self.temperature_, self.floor_ = fit.smoothing
        self._keep(fit)

    @abstractmethod
    def _keep(self, fit: Structured) -> None:
        """Set the attributes of this kind from the parameters of its design."""

    def _smoothed(self, logits: npt.NDArray[Any]) -> Floats:
        return Smoothing(self.temperature_, self.floor_)(logits)

    def _export_smoothed(self, logits: Tensor) -> Tensor:
        return Smoothing(self.temperature_, self.floor_).to_graph(logits, self.class_count_)
