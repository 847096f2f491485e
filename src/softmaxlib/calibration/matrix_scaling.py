"""One weight for each pair of classes."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Calibration, Weights
from .designs import Floats, FullDesign
from .fields import Array, Number
from .smoothing import Smoothing
from .structured import Start, fit_structured


class MatrixScaling(Calibration):
    """Maps log-probabilities linearly: K (K + 1) numbers for K classes, held together by learned priors.

    With smoothed log-probabilities z = log((1 - e) softmax(x / T) + e / K)::

        calibrated logits = matrix @ z + intercept

    The matrix lets the doubt between two classes depend on a third. Unregularised it falls apart for many
    classes; here intercepts, diagonal and off-diagonal each have a normal prior around
    temperature scaling whose deviation is learned from the data by its evidence. What the rows don't
    support goes to 0, so that with few rows it is temperature scaling, and with many a full matrix.

    Attributes
    ----------
    temperature_ : float
        T, above 0.
    floor_ : float
        e, between 0 and 1: the probability with which a row says nothing about its label.
    matrix_ : ndarray of float64, shape (classes, classes)
        ``matrix_[k, j]`` is the weight of log-probability j in calibrated logit k.
    intercept_ : ndarray of float64, shape (classes,)
        Offset of each class.
    prior_deviation_ : ndarray of float64, shape (3,)
        The learned prior deviation of intercepts, diagonal and off-diagonal, in units of the spread of z.
    class_count_ : int
        Number of classes of the logits it was fitted on.

    Notes
    -----
    The result is the mean of two fits, under the learned prior and under one up to twice as wide, since a
    normal prior shrinks the few large weights of a sparse matrix too much.

    Time grows with rows * classes^2: seconds for 5,000 x 100. The strengths are learned from at most
    1,000,000 / classes rows (but at least 5,000); from 35 classes on the effective numbers of parameters
    are estimated with random probes, always the same ones, instead of exactly.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
    D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4, 1992.
    E. Berta, D. Holzmüller, M. I. Jordan, F. Bach, "Structured matrix scaling for multi-class
    calibration", 2025, for structured penalties and temperature scaling beforehand; there the strengths are
    fixed functions of the numbers of rows and classes.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import MatrixScaling
    >>> generator = np.random.default_rng(0)
    >>> logits = 2 * generator.standard_normal((2000, 3))
    >>> truth = logits @ np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]])  # class 2 borrows from class 0
    >>> labels = (truth + generator.gumbel(size=(2000, 3))).argmax(axis=1)
    >>> fitted = MatrixScaling().fit(logits, labels)
    >>> bool(fitted.matrix_[2, 0] - fitted.matrix_[1, 0] > 0.3)
    True
    """

    _fitted = {  # noqa: RUF012
        "temperature_": Number(lower=1e-300),
        "floor_": Number(lower=1e-300, upper=1 - 1e-9),
        "matrix_": Array(("classes", "classes")),
        "intercept_": Array(("classes",)),
        "prior_deviation_": Array((3,)),
    }

    temperature_: float
    floor_: float
    matrix_: Floats
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
        fit = fit_structured(FullDesign, logits, labels, weights, start)
        self._end = fit.end()
        classes = logits.shape[1]
        weight = fit.parameters.reshape(classes, classes + 1)
        change = (weight[:, :classes] + fit.common * np.eye(classes)) / fit.features.size
        self.temperature_, self.floor_ = fit.smoothing
        self.matrix_ = np.eye(classes) + change
        self.intercept_ = weight[:, classes] - change @ fit.features.center
        self.prior_deviation_ = fit.deviations

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return Smoothing(self.temperature_, self.floor_)(logits) @ self.matrix_.T + self.intercept_
