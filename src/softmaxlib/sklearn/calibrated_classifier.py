"""Any classifier, with probabilities that can be believed."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    _check_y,
    check_is_fitted,
    has_fit_parameter,
)

from ..calibration import TemperatureScaling
from ..decisions import Decision
from ..errors import InvalidInputError
from ._classifier_logits import classifier_logits, equal_rows, folds_of_rows
from .softmax_classifier import SoftmaxClassifier

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class CalibratedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier whose probabilities are calibrated, and whose decisions may follow a rule.

    The calibration is fitted on rows that the classifier has not seen: on left-out folds, after which the
    classifier is fitted again on all rows; the only row of a class is never left out. A classifier that is
    fitted already comes wrapped in ``sklearn.frozen.FrozenEstimator``; it stays as it is, and all rows given
    to `fit` go to the calibration, so give it new ones. A rule that learns from data gets rows of its own, a
    random half of them.

    Parameters
    ----------
    estimator : classifier, default None
        Any with ``decision_function`` or ``predict_proba``; None is ``SoftmaxClassifier(tol=1e-13)``. The
        logits are its decision function where it has one, else the logarithms of its probabilities.
    calibration : calibration, default None
        From `softmaxlib.calibration`; None is ``TemperatureScaling()``.
    rule : decision rule, default None
        From `softmaxlib.decisions`; None takes the most likely class.
    folds : int, default 5
        Into how many parts the rows are split; equal rows always share one.
    random_state : int, default 0
        Which rows a rule that learns gets.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The class labels, sorted.
    estimator_ : classifier
        Fitted on all rows (or as it came, if frozen).
    calibration_ : calibration
        Fitted.
    rule_ : decision rule or None
        Fitted.
    n_features_in_ : int
        Number of features, where `estimator_` knows it.

    Notes
    -----
    ``sample_weight`` goes to the calibration, and to `estimator` if that takes it; with metadata routing
    enabled it goes where it was requested.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from softmaxlib.sklearn import CalibratedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = CalibratedClassifier(GaussianNB()).fit(X[:1000], y[:1000])
    >>> model.calibration_.temperature_ > 3  # naive Bayes is far too sure of itself
    True
    """

    def __init__(
        self,
        estimator: Any = None,
        calibration: Any = None,
        rule: Any = None,
        *,
        folds: int = 5,
        random_state: int = 0,
    ):
        self.estimator = estimator
        self.calibration = calibration
        self.rule = rule
        self.folds = folds
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> "CalibratedClassifier":
        """Fit the classifier, its calibration and the rule.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Features, of any kind that `estimator` takes.
        y : array_like, shape (n,)
            Class labels of any sortable type, at least two different ones.
        sample_weight : array_like, shape (n,), optional
            Factors of the rows, not negative. A rule does not take them.
        **params
            Metadata for the ``fit`` of `estimator`.

        Returns
        -------
        CalibratedClassifier
            The estimator itself.
        """
        if not isinstance(self.folds, int) or self.folds < 2:
            raise InvalidInputError(f"folds must be a whole number, at least 2, got {self.folds!r}")
        X, y = indexable(X, y)
        y = _check_y(y, estimator=self)
        check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        estimator = self._base()
        params = self._estimator_params(estimator, sample_weight, params)
        copied: Any = clone(estimator)
        self.estimator_ = copied.fit(X, y, **params)
        self.classes_ = np.asarray(self.estimator_.classes_)
        self._copy_feature_names()
        label = np.searchsorted(self.classes_, y)
        counts = np.ones(label.size, dtype=bool) if sample_weight is None else sample_weight > 0
        logits = self._unseen_logits(estimator, X, y, label, counts, params)
        self._fit_on_logits(logits, label, sample_weight)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """The calibrated probability of each class (n, K)."""
        check_is_fitted(self)
        return self.calibration_.predict_proba(classifier_logits(self.estimator_, X))

    @available_if(lambda self: self.rule is not None)
    def decide(self, X: Any) -> Decision:
        """What the rule decides for each row: action, confidence, abstained, expected cost, sets."""
        return self.rule_.decide(self.predict_proba(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class of each row (n,): the rule's action; the most likely class without one.

        Where the rule abstains, it is the most likely class too: `decide` tells which rows those are.
        """
        probabilities = self.predict_proba(X)
        action = probabilities.argmax(axis=1)
        if self.rule_ is not None:
            decision = self.rule_.decide(probabilities)
            action = np.where(decision.abstained, action, decision.action)
        if action.max(initial=0) >= self.classes_.size:
            raise InvalidInputError(
                f"predict needs a rule whose actions are the {self.classes_.size} classes, "
                f"got action {action.max()}; call decide(X) for the actions of this rule"
            )
        return self.classes_[action]

    def get_metadata_routing(self) -> MetadataRouter:
        """Who asks for which metadata."""
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self._base(), method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        )

    def _base(self) -> Any:
        return SoftmaxClassifier(tol=1e-13) if self.estimator is None else self.estimator

    def _estimator_params(self, estimator: Any, sample_weight: Any, params: dict[str, Any]) -> dict[str, Any]:
        from sklearn import get_config

        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", sample_weight=sample_weight, **params).estimator.fit
        if sample_weight is not None and has_fit_parameter(estimator, "sample_weight"):
            return params | {"sample_weight": sample_weight}
        return params

    def _copy_feature_names(self) -> None:
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))

    def _unseen_logits(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        label: Integers,
        counts: npt.NDArray[np.bool_],
        params: dict[str, Any],
    ) -> Floats:
        logits = classifier_logits(self.estimator_, X)
        if isinstance(estimator, FrozenEstimator):
            return logits
        fold = folds_of_rows(equal_rows(X), label, counts, self.folds)
        for one in range(self.folds):
            left_out = np.flatnonzero(fold == one)
            if not left_out.size:
                continue
            rest = np.flatnonzero(fold != one)
            copied: Any = clone(estimator)
            fitted = copied.fit(
                _safe_indexing(X, rest), _safe_indexing(y, rest), **_check_method_params(X, params, rest)
            )
            logits[left_out] = classifier_logits(fitted, _safe_indexing(X, left_out))
        return logits

    def _fit_on_logits(self, logits: Floats, label: Integers, sample_weight: Any) -> None:
        self.calibration_ = (
            TemperatureScaling() if self.calibration is None else clone_plain(self.calibration)
        )
        self.rule_: Any = None if self.rule is None else clone_plain(self.rule)
        for_rule = np.zeros(label.size, dtype=bool)
        if self.rule_ is not None and self.rule_.learns:
            for_rule = np.random.default_rng(self.random_state).random(label.size) < 0.5
        rows = ~for_rule
        weight = None if sample_weight is None else sample_weight[rows]
        self.calibration_.fit(logits[rows], label[rows], weight)
        if self.rule_ is not None:
            judged = for_rule if for_rule.any() else rows
            self.rule_.fit(self.calibration_.predict_proba(logits[judged]), label[judged])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        base = get_tags(self._base())
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.allow_nan = base.input_tags.allow_nan
        return tags


def clone_plain(fitted: Any) -> Any:
    """A copy of a calibration or rule, so that fitting leaves what the user gave alone."""
    return copy.deepcopy(fitted)
