"""Multinomial logistic regression."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from .._checks import check_class_weight, check_integer, check_real, check_sample_weight
from .._drafts import draft_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..activations import log_softmax, softmax
from ..errors import InvalidInputError
from ._objective import Objective
from ._solver import minimize

Floats = npt.NDArray[np.float64]

_SMALLEST_C = 1e-300
_LARGE = 40  # binary digits of a feature, above which its column is scaled


class SoftmaxClassifier(ClassifierMixin, BaseEstimator):
    r"""Multinomial logistic regression with an L2 penalty.

    It minimizes, over weights W (K, d) and intercepts b (K,), the objective of
    ``sklearn.linear_model.LogisticRegression``:

    .. math:: C \sum_i s_i \, \ell(W x_i + b, y_i) + \tfrac12 \lVert W \rVert^2

    with :math:`\ell` the cross-entropy and :math:`s_i` the sample weights. For two classes the penalty counts
    double. The model is then that of LogisticRegression, whose single logit is the difference of the two
    logits here.

    Parameters
    ----------
    C : float > 0, default 1.0
        Weight of the data relative to the penalty. A smaller value means a stronger penalty.
    fit_intercept : bool, default True
        Whether each class has an intercept (which is not penalised).
    class_weight : dict, "balanced" or None, default None
        One weight per class. "balanced" means n / (K * rows of the class).
    tol : float > 0, default 1e-8
        Stop when the objective is within this share of its minimum, as estimated by Newton's decrement.
    max_iter : int, default 100
        Stop after this many Newton steps, with a ConvergenceWarning.
    warm_start : bool, default False
        Whether `fit` starts from the last solution.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The class labels, sorted.
    coef_ : ndarray (K, d)
        The weights, one row per class, also for two classes.
    intercept_ : ndarray (K,)
        The intercepts.
    n_iter_ : int
        Number of Newton steps on all rows.
    n_features_in_ : int
        d.

    Notes
    -----
    The solver is Newton's method. Each step is solved by conjugate gradients, preconditioned by the curvature
    of each class. With many rows it starts from the solution on a fixed random eighth of them. Results are
    reproducible.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from softmaxlib.sklearn import SoftmaxClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier().fit(X, y)
    >>> model.predict_proba(X[:1]).round(3)
    array([[0.982, 0.018, 0.   ]])
    """

    @checked_keywords
    def __init__(
        self,
        *,
        C: float = 1.0,
        fit_intercept: bool = True,
        class_weight: dict[Any, float] | str | None = None,
        tol: float = 1e-8,
        max_iter: int = 100,
        warm_start: bool = False,
    ):
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start

    @checked_keywords
    @underflow_is_zero
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SoftmaxClassifier":
        """Fit the weights.

        Parameters
        ----------
        X : array_like or CSR matrix, shape (n, d)
            Features.
        y : array_like, shape (n,)
            Class labels of any sortable type, at least two different ones.
        sample_weight : array_like, shape (n,), optional
            Weights of the rows, not negative.

        Returns
        -------
        SoftmaxClassifier
            This estimator. If the fit fails, it does not change.
        """
        with draft_of(self) as draft:
            draft._fit(X, y, sample_weight)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        self._check_parameters()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        check_classification_targets(y)
        self.classes_, label = np.unique(y, return_inverse=True)
        if self.classes_.size < 2:
            raise InvalidInputError(
                f"y must hold at least two classes, got one class, {self.classes_.tolist()[0]!r}; "
                "collect rows of another class"
            )
        weight = self._row_weights(X, y, label, sample_weight)
        penalty = (2.0 if self.classes_.size == 2 else 1.0) / self.C
        scale = _scales(X)
        if scale is not None:
            X, penalty = X @ scipy.sparse.diags_array(1 / scale), penalty / scale / scale
        objective = Objective(X, label, self.classes_.size, weight, penalty, self.fit_intercept)
        with threadpool_limits(1, user_api="blas"):
            solution = minimize(objective, self._start(objective, scale), self.tol, self.max_iter)
        self.n_iter_ = solution.steps
        self.coef_ = solution.weights[:, : X.shape[1]] / (1.0 if scale is None else scale)
        self.intercept_ = (
            solution.weights[:, -1].copy() if self.fit_intercept else np.zeros(len(self.classes_))
        )

    def _row_weights(self, X: Any, y: Any, label: npt.NDArray[np.intp], sample_weight: Any) -> Floats:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        weight = check_sample_weight(weight, label.size)
        of_class = check_class_weight(of_class, self.classes_.size)
        assert weight is not None
        assert of_class is not None
        weight = weight * of_class[label]
        if not weight.any():
            raise InvalidInputError(
                "sample_weight times class_weight must not be zero in all rows: no row would count"
            )
        return weight

    @underflow_is_zero
    def logits(self, X: Any) -> Floats:
        """Compute W x + b for each row: (n, K), also for two classes."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float64)
        return X @ self.coef_.T + self.intercept_

    def decision_function(self, X: Any) -> Floats:
        """Return the logits (n, K). For two classes, as in scikit-learn, their difference (n,)."""
        logits = self.logits(X)
        return logits[:, 1] - logits[:, 0] if self.classes_.size == 2 else logits

    @underflow_is_zero
    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class (n, K)."""
        return softmax(self.logits(X), axis=1)

    @underflow_is_zero
    def predict_log_proba(self, X: Any) -> Floats:
        """Return the log-probability of each class (n, K), also accurate for confident rows."""
        return log_softmax(self.logits(X), axis=1)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict the most probable class of each row (n,)."""
        logits = self.logits(X)
        return self.classes_[logits.argmax(axis=1)]

    def _check_parameters(self) -> None:
        for name, value in (("C", self.C), ("tol", self.tol)):
            if not check_real(value, name) > 0:
                raise InvalidInputError(f"{name} must be greater than 0, got {value}")
        if self.C < _SMALLEST_C:
            raise InvalidInputError(
                f"C must be at least {_SMALLEST_C}, got {self.C}: the penalty is its inverse; raise C"
            )
        check_integer(self.max_iter, "max_iter", lower=1)

    def _start(self, objective: Objective, scale: Floats | None) -> Floats:
        start = np.zeros(objective.shape)
        if not (self.warm_start and hasattr(self, "coef_")):
            return start
        expected = (objective.classes, objective.columns)
        if self.coef_.shape != expected:
            raise InvalidInputError(
                "warm_start needs as many classes and features as the last fit, (classes, features) = "
                f"{self.coef_.shape}, got {expected}; set warm_start=False to start again"
            )
        start[:, : objective.columns] = self.coef_ * (1.0 if scale is None else scale)
        if self.fit_intercept:
            start[:, -1] = self.intercept_
        return start

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _scales(features: Any) -> Floats | None:
    """Return a power of two per column that brings large features near 1. None if no feature is large.

    Squares of features of 1e155 overflow. Far below that the intercept is lost beside them.
    """
    largest, least = (
        one.toarray().ravel() if scipy.sparse.issparse(one) else one
        for one in (features.max(axis=0), features.min(axis=0))
    )
    exponent = np.frexp(np.maximum(largest, -least))[1]
    if not (exponent > _LARGE).any():
        return None
    return np.ldexp(1.0, np.where(exponent > _LARGE, exponent - 1, 0))
