"""Matrix scaling with fixed penalties."""

from .matrix_scaling import MatrixScaling
from .structured import fit_penalised


class StructuredMatrixScaling(MatrixScaling):
    """Matrix scaling whose penalties are fixed functions of the numbers of rows and classes.

    The same map as `MatrixScaling`. What is learned there from the data is fixed here: the fit minimises, for
    n rows and K classes::

        mean log loss + (K |intercept|^2 + K |diagonal - 1|^2 + K (K - 1) |off-diagonal|^2) / n

    On most data `MatrixScaling` loses less; with few rows, or a network that is wrong where it is certain,
    it can be the other way round. `Auto` tries both.

    Attributes
    ----------
    temperature_, floor_ : float
        T, that of `TemperatureScaling`, and e = 1 / (n + 1).
    matrix_ : ndarray of float64, shape (classes, classes)
        ``matrix_[k, j]`` is the weight of log-probability j in calibrated logit k.
    intercept_ : ndarray of float64, shape (classes,)
        Offset of each class.
    prior_deviation_ : ndarray of float64, shape (3,)
        What the penalties come to as prior deviations, as in `MatrixScaling`.
    class_count_ : int
        Number of classes of the logits in `fit`.

    References
    ----------
    E. Berta, D. Holzmüller, M. I. Jordan, F. Bach, "Structured matrix scaling for multi-class
    calibration", 2025: "SMS" with its default ridge penalties.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import StructuredMatrixScaling
    >>> generator = np.random.default_rng(0)
    >>> logits = 2 * generator.standard_normal((2000, 3))
    >>> truth = logits @ np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]])  # class 2 borrows from class 0
    >>> labels = (truth + generator.gumbel(size=(2000, 3))).argmax(axis=1)
    >>> fitted = StructuredMatrixScaling().fit(logits, labels)
    >>> bool(fitted.matrix_[2, 0] - fitted.matrix_[1, 0] > 0.3)
    True
    """

    command_name = "structured-matrix"

    _strengths = fit_penalised
