"""One weight per pair of classes."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._graph import Tensor
from .._judging import Correction
from .._stored import Array
from .designs import Floats
from .full_design import FullDesign
from .products import product
from .structured import Structured
from .structured_scaling import SMOOTHING_FIELDS, StructuredScaling


class MatrixScaling(StructuredScaling):
    """Map log-probabilities by a matrix, regularised by learned priors.

    With smoothed log-probabilities z = log((1 - e) softmax(x / T) + e / K)::

        calibrated logits = matrix @ z + intercept

    There are K (K + 1) numbers for K classes. The matrix lets the odds of two classes depend on a third.
    Without regularisation it overfits for many classes. Here intercepts, diagonal and off-diagonal each have
    a normal prior around temperature scaling, and the deviation of each prior is learned from the data by its
    evidence. Parameters that the rows do not support shrink to 0. So the result is temperature scaling with
    few rows, and a full matrix with many.

    Attributes
    ----------
    temperature_ : float
        The temperature T, above 0.
    floor_ : float
        The floor e, between 0 and 1: the probability that a row carries no information about its label.
    matrix_ : ndarray of float64, shape (classes, classes)
        ``matrix_[k, j]`` is the weight of log-probability j in calibrated logit k.
    intercept_ : ndarray of float64, shape (classes,)
        Offset of each class.
    prior_deviation_ : ndarray of float64, shape (3,)
        The learned prior deviations of intercepts, diagonal and off-diagonal, in units of the spread of z
        around the mean of doubtful rows.
    class_count_ : int
        Number of classes of the logits in `fit`.

    Notes
    -----
    The result is the mean of two fits, which shrink towards temperature scaling around two origins of z: the
    mean of doubtful rows, and z = 0. The prior of the first is up to twice as wide as learned, because a
    normal prior shrinks the few large weights of a sparse matrix too much. If the evidence is decisive
    against the second fit, only the first is used.

    The floor is fitted if the evidence supports one more parameter. Otherwise it is the least that n rows
    allow, 1 / (n + 1).

    The time grows with rows * classes^2, and is seconds for 5,000 x 100. The strengths are learned from at
    most 1,000,000 / classes rows (but at least 5,000). From 21 classes on, the effective number of parameters
    is estimated by random probes, which are always the same.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017. D. J.
    C. MacKay, "Bayesian interpolation", Neural Computation 4, 1992. E. Berta, D. Holzmüller, M. I. Jordan, F.
    Bach, "Structured matrix scaling for multi-class calibration", 2025, for structured penalties and
    temperature scaling beforehand. There the strengths are fixed functions of the numbers of rows and
    classes.

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

    command_name = "matrix"

    _fitted = {  # noqa: RUF012
        **SMOOTHING_FIELDS,
        "matrix_": Array(("classes", "classes")),
        "intercept_": Array(("classes",)),
        "prior_deviation_": Array((3,)),
    }

    matrix_: Floats
    intercept_: Floats
    prior_deviation_: Floats

    _design = FullDesign

    def _keep(self, fit: Structured) -> None:
        self.matrix_, self.intercept_ = fit.linear
        self.prior_deviation_ = fit.deviations

    def correction(self) -> Correction:
        """Return a matrix and an offset for the smoothed log-probabilities."""
        matrix = np.ascontiguousarray(self.matrix_)
        return Correction(self.temperature_, self.floor_, matrix=matrix, intercept=self.intercept_)

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return product(self._smoothed(logits), self.matrix_.T) + self.intercept_

    def _export(self, logits: Tensor) -> Tensor:
        graph = logits.graph
        scaled = self._export_smoothed(logits) @ graph.fitted("matrix", self.matrix_.T)
        return scaled + graph.fitted("intercept", self.intercept_[None])
