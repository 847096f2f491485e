"""One factor and one offset a class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Calibration, Weights
from .designs import DiagonalDesign, Floats
from .fields import Array, Number
from .smoothing import Smoothing
from .structured import Start, fit_structured


class VectorScaling(Calibration):
    """Scales and shifts the log-probability of each class: 2 K numbers for K classes.

    With smoothed log-probabilities z = log((1 - e) softmax(x / T) + e / K)::

        calibrated logits = scale * z + intercept

    For networks that favour some classes, or are surer of some than of others. The strength of the
    regularisation towards temperature scaling (scale 1 / s for all classes and intercept 0) is learned from
    the data, separately for scales and intercepts: see Notes. Better than `TemperatureScaling` from
    a few hundred rows on, and no worse in expectation before.

    Attributes
    ----------
    temperature_ : float
        T, above 0.
    floor_ : float
        e, between 0 and 1: the probability with which a row says nothing about its label.
    scale_ : ndarray of float64, shape (classes,)
        Factor of each class.
    intercept_ : ndarray of float64, shape (classes,)
        Offset of each class.
    prior_deviation_ : ndarray of float64, shape (2,)
        The learned prior deviation of intercepts and scales, in units of the spread of z.
    class_count_ : int
        Number of classes of the logits it was fitted on.

    Notes
    -----
    Vector scaling is usually fitted without regularisation and on raw logits, which one underflowed
    probability can ruin. Here scales and intercepts have normal priors, and the deviations of these priors
    maximise the evidence (MacKay).

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
    D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4, 1992.
    E. Berta, D. Holzmüller, M. I. Jordan, F. Bach, "Structured matrix scaling for multi-class
    calibration", 2025, for structured penalties and temperature scaling beforehand.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import VectorScaling
    >>> generator = np.random.default_rng(0)
    >>> logits = generator.standard_normal((1000, 3))
    >>> labels = (logits + [0, 0, 2] + generator.gumbel(size=(1000, 3))).argmax(axis=1)
    >>> fitted = VectorScaling().fit(logits, labels)
    >>> int(fitted.intercept_.argmax())  # the network underrated the third class
    2
    """

    _fitted = {  # noqa: RUF012
        "temperature_": Number(lower=1e-300),
        "floor_": Number(lower=1e-300, upper=1 - 1e-9),
        "scale_": Array(("classes",)),
        "intercept_": Array(("classes",)),
        "prior_deviation_": Array((2,)),
    }

    temperature_: float
    floor_: float
    scale_: Floats
    intercept_: Floats
    prior_deviation_: Floats

    _end: Start | None = None  # lost in JSON: only a neighbouring fit can use it

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        self._fit_from(None, logits, labels, weights)

    def _fit_near(
        self,
        neighbour: Any,
        logits: npt.NDArray[Any],
        labels: npt.NDArray[np.int64],
        weights: Weights,
    ) -> None:
        self._fit_from(neighbour._end, logits, labels, weights)

    def _fit_from(
        self,
        start: Start | None,
        logits: npt.NDArray[Any],
        labels: npt.NDArray[np.int64],
        weights: Weights,
    ) -> None:
        fit = fit_structured(DiagonalDesign, logits, labels, weights, start)
        self._end = fit.end()
        scale, intercept = np.split(fit.parameters, 2)
        change = (scale + fit.common) / fit.features.size
        self.temperature_, self.floor_ = fit.smoothing
        self.scale_ = 1 + change
        self.intercept_ = intercept - change * fit.features.center
        self.prior_deviation_ = fit.deviations[:2]

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return Smoothing(self.temperature_, self.floor_)(logits) * self.scale_ + self.intercept_
