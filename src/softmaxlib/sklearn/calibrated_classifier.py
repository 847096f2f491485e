"""A classifier with calibrated probabilities."""

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    _check_y,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from .._checks import check_sample_weight
from .._drafts import draft_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..calibration import Calibration, TemperatureScaling
from ..decisions import Decision, Rule
from ..decisions.decision import label_decision
from ..errors import InvalidInputError
from ..policy import probability_floor
from ._classifier_logits import (
    Scores,
    classes_of,
    classifier_scores,
    equal_rows,
    folds_of_rows,
    labels_among,
)
from .softmax_classifier import SoftmaxClassifier

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class CalibratedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier with calibrated probabilities and, optionally, a decision rule.

    The calibration is fitted on rows that the classifier has not seen: on left-out folds. Then the classifier
    is fitted again on all rows. A class with one row keeps that row in every training part. Wrap a fitted
    classifier in ``sklearn.frozen.FrozenEstimator``. It does not change, and all rows of `fit` go to the
    calibration, so pass new rows. A rule that learns from data gets its own rows, a random half.

    Parameters
    ----------
    estimator : classifier, default None
        Any classifier with ``decision_function`` or ``predict_proba``, of one column per class: a parameter
        ``decision_function_shape`` must be "ovr". None means ``SoftmaxClassifier(tol=1e-13)``. The logits are
        its decision function if there is one, or else the logarithms of its probabilities. An exact 0, as in
        a vote of trees, is replaced by half the smallest positive probability, as in `softmaxlib.Policy`.
    method : str or calibration, default None
        A calibration of `softmaxlib.calibration`, or its name as on the command line: "temperature",
        "vector", "matrix", "isotonic", "histogram", "beta", "auto", ... None means ``TemperatureScaling()``.
    rule : decision rule, default None
        A rule of `softmaxlib.decisions`. None means the most likely class.
    cv : int, splitter or iterable of (rest, left out), default 5
        Number of parts of the rows. Equal rows are always in the same part. Splitters and iterables work as
        in scikit-learn. Each row must be left out once.
    random_state : int, default 0
        Seed of the rows for a rule that learns.
    abstained_label : default None
        Result of `predict` for rows that the rule sets aside, such as ``"ask"`` or -1. Without it, `predict`
        raises an error for such rows.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The class labels, sorted.
    estimator_ : classifier
        The classifier, fitted on all rows (or as given, if frozen).
    calibration_ : calibration
        Fitted.
    rule_ : decision rule or None
        Fitted.
    floor_ : float or None
        Lower bound of probabilities, or None if the logits are a decision function.
    n_features_in_ : int
        Number of features, if `estimator_` knows it.

    Notes
    -----
    ``sample_weight`` is passed to the calibration and the rule, and to `estimator` if it accepts weights.
    With metadata routing, it is passed where it was requested.

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

    @checked_keywords
    def __init__(
        self,
        estimator: Any = None,
        method: Any = None,
        rule: Any = None,
        *,
        cv: Any = 5,
        random_state: int = 0,
        abstained_label: Any = None,
    ):
        self.estimator = estimator
        self.method = method
        self.rule = rule
        self.cv = cv
        self.random_state = random_state
        self.abstained_label = abstained_label

    @checked_keywords
    @underflow_is_zero
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> "CalibratedClassifier":
        """Fit the classifier, its calibration and the rule.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Features, of any kind that `estimator` accepts.
        y : array_like, shape (n,)
            Class labels of any sortable type, at least two different ones.
        sample_weight : array_like, shape (n,), optional
            Factors of the rows, not negative. The calibration and the rule take them, and `estimator` does if
            its ``fit`` has such a parameter.
        **params
            Metadata for the ``fit`` of `estimator`.

        Returns
        -------
        CalibratedClassifier
            This estimator. If the fit fails, it does not change.
        """
        with draft_of(self) as draft:
            draft._fit(X, y, sample_weight, params)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, params: dict[str, Any]) -> None:
        X, y = indexable(X, y)
        y = _check_y(y, estimator=self)
        check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        estimator = self._base()
        params = self._estimator_params(estimator, sample_weight, params)
        copied: Any = clone(estimator)
        self.estimator_ = copied.fit(X, y, **params)
        self.classes_ = classes_of(self.estimator_)
        self._copy_feature_names()
        label = labels_among(y, self.classes_)
        counts = np.ones(label.size, dtype=bool) if sample_weight is None else sample_weight > 0
        scores = self._unseen_scores(estimator, X, y, label, counts, params)
        self.floor_ = probability_floor(scores.values[counts]) if scores.are_probabilities else None
        self._fit_on_logits(scores.logits(self.floor_), label, sample_weight)

    @underflow_is_zero
    def predict_proba(self, X: Any) -> Floats:
        """Return the calibrated probability of each class (n, K)."""
        check_is_fitted(self)
        return self.calibration_.predict_proba(classifier_scores(self.estimator_, X).logits(self.floor_))

    @available_if(lambda self: self.rule is not None)
    @underflow_is_zero
    def decide(self, X: Any) -> Decision:
        """Decide each row by the rule: labels, action, confidence, abstained, expected cost, sets.

        ``labels`` contains the class of each row, or the name of the rule's own action, and None for rows set
        aside. ``action`` is its index, and -1 for rows set aside, so it can't be used to index `classes_`.
        """
        check_is_fitted(self)
        decision = self.rule_.decide(self.predict_proba(X), probabilities=True)
        return label_decision(decision, self.rule_.action_names or self.classes_.tolist())

    @underflow_is_zero
    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict the class of each row (n,): by the rule, or the most likely class without a rule.

        Raises
        ------
        InvalidInputError
            If the actions of the rule are not the classes, or the rule sets rows aside and there is no
            `abstained_label`.
        """
        probabilities = self.predict_proba(X)
        if self.rule_ is None:
            return self.classes_[probabilities.argmax(axis=1)]
        if self.rule_.action_names is not None:
            raise InvalidInputError(
                f"predict needs a rule whose actions are the {self.classes_.size} classes, and the actions "
                f"of this rule are {', '.join(self.rule_.action_names)}; call decide(X) for them"
            )
        decision = self.rule_.decide(probabilities, probabilities=True)
        aside = decision.abstained
        classes = self.classes_[np.where(aside, 0, decision.action)]
        if self.abstained_label is not None:
            return _with_label(classes, aside, self.abstained_label)
        if aside.any():
            raise InvalidInputError(
                f"predict has no class for {int(aside.sum())} of the {aside.size} rows, which the rule sets "
                "aside; call decide(X), or set abstained_label=... to the result of predict for them"
            )
        return classes

    @checked_keywords
    @underflow_is_zero
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows for which `predict` gives the true class.

        This uses the decision of the rule, not the most likely class. A row that is set aside counts as
        wrong, unless `abstained_label` is its true class. Without an `abstained_label`, such rows raise an
        error, as in `predict`. With `sample_weight` (n,), it is the share of the weight.
        """
        predicted, y = self.predict(X), column_or_1d(y, warn=True)
        check_consistent_length(predicted, y)
        weight = check_sample_weight(sample_weight, y.size)
        return float(np.average(predicted == y, weights=weight))

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata, as scikit-learn asks for it."""
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

    def _unseen_scores(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        label: Integers,
        counts: npt.NDArray[np.bool_],
        params: dict[str, Any],
    ) -> Scores:
        scores = classifier_scores(self.estimator_, X)
        if isinstance(estimator, FrozenEstimator):
            return scores
        for rest, left_out in self._splits(X, y, label, counts):
            copied: Any = clone(estimator)
            fitted = copied.fit(
                _safe_indexing(X, rest), _safe_indexing(y, rest), **_check_method_params(X, params, rest)
            )
            known = classes_of(fitted)
            if not np.array_equal(known, self.classes_):
                missing = np.setdiff1d(self.classes_, known).tolist()[:1]
                raise InvalidInputError(
                    f"every class must have rows outside each part of cv, and class {missing[0]!r} has none "
                    f"outside the part of row {left_out[0]}; pass a number, or StratifiedKFold"
                )
            scores.values[left_out] = classifier_scores(fitted, _safe_indexing(X, left_out)).values
        return scores

    def _splits(
        self, X: Any, y: Any, label: Integers, counts: npt.NDArray[np.bool_]
    ) -> list[tuple[Integers, Integers]]:
        """Yield the rows to fit the classifier on and the rows to predict, for each part."""
        if isinstance(self.cv, str):
            raise InvalidInputError(
                f"cv must be a number of parts, a splitter or pairs of rows, got {self.cv!r}; for a fitted "
                "classifier pass FrozenEstimator(classifier) of sklearn.frozen as the estimator"
            )
        if not isinstance(self.cv, numbers.Integral):
            splitter: Any = check_cv(self.cv, y, classifier=True)
            splits = [(_row_numbers(rest), _row_numbers(out)) for rest, out in splitter.split(X, y)]
            every = [left_out for _, left_out in splits] or [np.empty(0, dtype=np.int64)]
            times = np.bincount(np.concatenate(every), minlength=label.size)
            if (times != 1).any():
                row = int(np.argmax(times != 1))
                raise InvalidInputError(
                    f"cv must leave out each row once, and row {row} is {times[row]} times"
                )
            return splits
        if self.cv < 2:
            raise InvalidInputError(f"cv must be a whole number, at least 2, got {self.cv!r}")
        fold = folds_of_rows(equal_rows(X), label, counts, int(self.cv))
        return [
            (np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in np.unique(fold[fold >= 0])
        ]

    def _fit_on_logits(self, logits: Floats, label: Integers, sample_weight: Any) -> None:
        self.calibration_ = _calibration_of(self.method)
        self.rule_: Any = None if self.rule is None else Rule.copy_of(self.rule, "rule", "MostLikely()")
        for_rule = np.zeros(label.size, dtype=bool)
        if self.rule_ is not None and self.rule_.learns:
            for_rule = np.random.default_rng(self.random_state).random(label.size) < 0.5
        rows = ~for_rule
        weight = None if sample_weight is None else sample_weight[rows]
        self.calibration_.fit(logits[rows], label[rows], weight)
        if self.rule_ is not None:
            judged = for_rule if for_rule.any() else rows
            weight = None if sample_weight is None else sample_weight[judged]
            self.rule_.fit(self.calibration_.transform(logits[judged]), label[judged], sample_weight=weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        base = get_tags(self._base())
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.allow_nan = base.input_tags.allow_nan
        return tags


def _row_numbers(rows: Any) -> Integers:
    """Return the numbers of rows of a splitter, which may give a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == np.bool_ else rows


def _calibration_of(method: Any) -> Calibration:
    """Return an unfitted copy of the given calibration, or a new one of this name."""
    if method is None:
        return TemperatureScaling()
    if not isinstance(method, str):
        return Calibration.copy_of(method, "method", 'TemperatureScaling() or "isotonic"')
    kinds = Calibration.of_command_line()
    if method not in kinds:
        hint = "; the method of Platt is 'vector'" if method in ("sigmoid", "platt") else ""
        raise InvalidInputError(
            f"method must be a calibration or one of {', '.join(kinds)}; got {method!r}{hint}"
        )
    return kinds[method]()


def _with_label(classes: npt.NDArray[Any], aside: npt.NDArray[np.bool_], label: Any) -> npt.NDArray[Any]:
    """Return class labels, with a label of any type for rows set aside (objects if the types do not mix)."""
    other = np.asarray(label)
    numbers = "biuf"
    if other.dtype.kind != classes.dtype.kind and not {other.dtype.kind, classes.dtype.kind} <= set(numbers):
        classes = classes.astype(object)
    return np.where(aside, other, classes)
