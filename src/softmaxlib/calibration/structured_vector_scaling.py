"""Vector scaling with fixed penalties."""

from .structured import fit_penalised
from .vector_scaling import VectorScaling


class StructuredVectorScaling(VectorScaling):
    """Vector scaling whose penalties are fixed functions of the numbers of rows and classes.

    The same map as `VectorScaling`. What is learned there from the data is fixed here: the fit minimises, for
    n rows and K classes::

        mean log loss + K (|intercept|^2 + |scale - 1|^2) / n

    On most data `VectorScaling` loses less; with few rows a class it can be the other way round. `Auto` tries
    both.

    Attributes
    ----------
    temperature_, floor_ : float
        T, that of `TemperatureScaling`, and e = 1 / (n + 1).
    scale_ : ndarray of float64, shape (classes,)
        Factor of each class.
    intercept_ : ndarray of float64, shape (classes,)
        Offset of each class.
    prior_deviation_ : ndarray of float64, shape (2,)
        What the penalties come to as prior deviations, as in `VectorScaling`.
    class_count_ : int
        Number of classes of the logits in `fit`.

    References
    ----------
    E. Berta, D. Holzmüller, M. I. Jordan, F. Bach, "Structured matrix scaling for multi-class
    calibration", 2025: "SVS" with its default ridge penalties.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib.calibration import StructuredVectorScaling
    >>> generator = np.random.default_rng(0)
    >>> logits = generator.standard_normal((1000, 3))
    >>> labels = (logits + [0, 0, 2] + generator.gumbel(size=(1000, 3))).argmax(axis=1)
    >>> int(StructuredVectorScaling().fit(logits, labels).intercept_.argmax())
    2
    """

    command_name = "structured-vector"

    _strengths = fit_penalised
