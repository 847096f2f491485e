"""One weight for each pair of classes."""

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
        The learned prior deviation of intercepts, diagonal and off-diagonal, in units of the spread of z,
        about the mean of the doubtful rows.
    class_count_ : int
        Number of classes of the logits it was fitted on.

    Notes
    -----
    The result is the mean of two fits, which shrink towards temperature scaling about two origins of z: the
    mean of the doubtful rows, and z = 0. The prior of the first is up to twice as wide as learned, since a
    normal prior shrinks the few large weights of a sparse matrix too much. Where the evidence is decisive
    against the second, the first stands alone.

    The floor is fitted where its evidence pays for one more parameter; else it is the least that n
    rows allow, 1 / (n + 1).

    Time grows with rows * classes^2: seconds for 5,000 x 100. The strengths are learned from at most
    1,000,000 / classes rows (but at least 5,000); from 21 classes on the effective numbers of parameters
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
